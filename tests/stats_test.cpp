#include <unisim/stats.h>

#include <limits>

#include "seeded.h"
#include "support.h"

using namespace unisim;

namespace {

using Numbers = std::vector<double>;

// Sums of a few numbers near 1: rounding leaves a few units of 1e-16.
Approx nearly(double expected) { return Approx(expected).epsilon(1e-12).margin(1e-14); }

}  // namespace

TEST_CASE("Wilson's interval stays within [0, 1] and holds the share") {
  // z = 1.959963984540054; of 5 in 10 the centre is 1/2 and the half z sqrt(10 + z^2) / (2 (10 + z^2)).
  const double z = 1.959963984540054;
  const Interval half = wilson_interval(5, 10);
  CHECK(half.low == nearly(0.5 - z / (2 * std::sqrt(10 + z * z))));
  CHECK(half.high == nearly(0.5 + z / (2 * std::sqrt(10 + z * z))));
  CHECK(wilson_interval(0, 7).low == 0);
  CHECK(wilson_interval(7, 7).high == 1);
  CHECK_THROWS_AS(wilson_interval(1, 0), std::invalid_argument);
  CHECK_THROWS_AS(wilson_interval(3, 2), std::invalid_argument);
  CHECK_THROWS_AS(wilson_interval(1, 2, 1.0), std::invalid_argument);
}

TEST_CASE("McNemar counts where one alone is right, and its p is exact") {
  // 1 against 5: 2 (C(6,0) + C(6,1)) / 2^6 = 14 / 64.
  const Numbers a{1, 1, 1, 1, 1, 0, 1, 0}, b{0, 0, 0, 0, 0, 1, 1, 0};
  const McNemar found = mcnemar(a, b);
  CHECK(found.only_a == 5);
  CHECK(found.only_b == 1);
  CHECK(found.p == nearly(14.0 / 64));
  CHECK(mcnemar(a, a).p == 1);
  CHECK(mcnemar(Numbers{1, 0}, Numbers{0, 1}).p == 1);
  CHECK_THROWS_WITH(mcnemar(a, Numbers(8, 0.5)),
                    "[mcnemar] b_right[0] is 0.5, expected 1 (right) or 0 (wrong)");
}

TEST_CASE("Two thousand items of which one alone is right have a p below the smallest double of 2^-n") {
  const Numbers a(2000, 1), b(2000, 0);
  CHECK(mcnemar(a, b).p == 0);  // 2^-1999 has no double
  Numbers near_half = b;
  for (std::size_t i = 0; i < 990; ++i) near_half[i] = 1;
  Numbers other(2000, 1);
  for (std::size_t i = 0; i < 990; ++i) other[i] = 0;
  CHECK(mcnemar(near_half, other).p == Approx(0.6710).epsilon(1e-3));  // normal: z = 19 / sqrt(2000)
}

TEST_CASE("Holm's adjustment multiplies by how many are left and never falls") {
  // Sorted 0.01 0.02 0.03 0.04, times 4 3 2 1: 0.04 0.06 0.06 0.04, running maximum.
  const Numbers adjusted = holm(Numbers{0.03, 0.01, 0.04, 0.02}), expected{0.06, 0.04, 0.06, 0.06};
  for (std::size_t i = 0; i < 4; ++i) CHECK(adjusted[i] == nearly(expected[i]));
  CHECK(holm(Numbers{0.7, 0.6})[0] == 1);
  CHECK(holm({}).empty());
  CHECK_THROWS_AS(holm(Numbers{1.5}), std::invalid_argument);
}

TEST_CASE("Correlations of a few numbers are those made by hand") {
  const Numbers x{1, 2, 2, 4}, y{1, 3, 2, 2};
  // Ranks 1 2.5 2.5 4 and 1 4 2.5 2.5: sums of squares 4.5 and 4.5, products 2.25.
  CHECK(spearman(x, y) == nearly(0.5));
  // 4 concordant? (1,2) (1,3) (1,4) up; (2,4) down; (2,3) tied in x, (3,4) tied in y: (3 - 1) / sqrt(5 * 5).
  CHECK(kendall_tau_b(x, y) == nearly(0.4));
  // dx = -1.25 -0.25 -0.25 1.75, dy = -1 1 0 0: 1 / sqrt(4.75 * 2).
  CHECK(pearson(x, y) == nearly(1 / std::sqrt(9.5)));
  CHECK(pearson(Numbers{1e300, -1e300}, Numbers{1e-300, 3e-300}) == nearly(-1));
  for (const auto f : {&pearson, &spearman, &kendall_tau_b}) CHECK(f(y, y) == 1);
}

TEST_CASE("A constant has no correlation, and the message says so") {
  const Numbers same{2, 2, 2}, y{1, 2, 3};
  for (const auto f : {&pearson, &spearman, &kendall_tau_b}) {
    CHECK_THROWS_WITH(f(same, y), Catch::Contains("all of x are 2"));
    CHECK_THROWS_WITH(f(y, same), Catch::Contains("all of y are 2"));
    CHECK_THROWS_AS(f(y, Numbers{1, 2}), std::invalid_argument);
    CHECK_THROWS_WITH(f(y, Numbers{1, NAN, 3}), Catch::Contains("y[1]"));
  }
}

TEST_CASE("The generator is SplitMix64") {
  Seeded zero(0);  // the first numbers of the authors' program for the seed 0
  CHECK(zero.bits() == 0xE220A8397B1DCDAF);
  CHECK(zero.bits() == 0x6E789E6AA1B965F4);
  Seeded one(1);
  for (int k = 0; k < 1000; ++k) CHECK(one.below(3) < 3);
}

TEST_CASE("A bootstrap gives the same bits in every run, and those of its groups") {
  const Numbers values{0, 1, 1, 0.5, 0, 1, 1, 0.25};
  const Interval one = bootstrap_interval(values), again = bootstrap_interval(values);
  CHECK(one.low == again.low);
  CHECK(one.high == again.high);
  CHECK(one.low == 0.28125);
  CHECK(one.high == 0.875);
  // Each value in a group of its own is no grouping; all in two groups is another.
  const std::vector<int64_t> each{7, 6, 5, 4, 3, 2, 1, 0}, two{3, 3, 3, 3, 9, 9, 9, 9};
  CHECK(bootstrap_interval(values, each).low == one.low);
  CHECK(bootstrap_interval(values, two).low == 0.5625);
  CHECK(bootstrap_interval(values, two).high == 0.625);
  // The mean is over the values drawn: twice the group of one is 1, either group once is 1 / 4.
  const Numbers uneven{0, 0, 0, 1};
  const std::vector<int64_t> three_and_one{5, 5, 5, 6};
  CHECK(bootstrap_interval(uneven, three_and_one).high == 1);
  CHECK(bootstrap_interval(uneven, three_and_one, {.confidence = 0.2}).low == 0.25);
  CHECK_THROWS_AS(bootstrap_interval(values, std::vector<int64_t>(8, 1)), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_interval(values, std::vector<int64_t>(7, 1)), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_interval(Numbers{1}), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_interval(Numbers{1e308, 1e308}), std::invalid_argument);
}

TEST_CASE("A paired bootstrap finds no difference between a list and itself") {
  const Numbers a{0, 1, 1, 0.5}, b{1, 2, 2, 1.5};
  const PairedDifference none = paired_bootstrap(a, a), one = paired_bootstrap(a, b);
  CHECK(none.difference == 0);
  CHECK(none.p == 1);
  CHECK(one.difference == -1);
  CHECK(one.interval.low == -1);
  CHECK(one.interval.high == -1);
  CHECK(one.p == nearly(2.0 / 10001));
}

TEST_CASE("A vote counts for the smaller distance, half where they are equal") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Numbers d0{1, 2, 3, infinity}, d1{2, 1, 3, 0}, votes{0.2, 0.7, 0.9, 1};
  const Numbers items = two_afc_items(d0, d1, votes), expected{0.8, 0.7, 0.5, 1};
  for (std::size_t i = 0; i < 4; ++i) CHECK(items[i] == nearly(expected[i]));
  CHECK(two_afc_score(d0, d1, votes) == nearly(0.75));
  CHECK_THROWS_AS(two_afc_score(d0, d1, Numbers{0, 0, 0, 1.5}), std::invalid_argument);
  CHECK_THROWS_AS(two_afc_score(d0, Numbers{1, 1, 1, NAN}, votes), std::invalid_argument);
  CHECK_THROWS_AS(two_afc_score({}, {}, {}), std::invalid_argument);
}

TEST_CASE("The average precision of pairs does not depend on the order of equal distances") {
  // By distance: same, not, (same, not), same. Precision 1, 1/2, 2/4, 3/5, envelope 1, 3/5, 3/5, 3/5.
  const Numbers distances{1, 2, 3, 3, 4}, same{1, 0, 1, 0, 1}, turned{1, 0, 0, 1, 1};
  CHECK(jnd_map(distances, same) == nearly((1 + 0.6 + 0.6) / 3));
  CHECK(jnd_map(distances, turned) == jnd_map(distances, same));
  CHECK(jnd_map(Numbers{2, 2}, Numbers{1, 0}) == 0.5);
  CHECK_THROWS_AS(jnd_map(distances, Numbers(5, 0.0)), std::invalid_argument);
}

TEST_CASE("A logistic that made the scores is found again") {
  Numbers x, scores;
  for (int i = 0; i < 60; ++i) {
    x.push_back(0.1 * i);
    scores.push_back(40 * (0.5 - 1 / (1 + std::exp(2.5 * (x.back() - 2.8)))) + 1.5 * x.back() + 30);
  }
  const LogisticFit fit = fit_logistic(x, scores);
  const double made[] = {40, 2.5, 2.8, 1.5, 30};
  CHECK(fit.converged);
  CHECK(fit.rmse < 1e-9);  // of scores near 50
  for (std::size_t k = 0; k < 5; ++k) CHECK(fit.parameters[k] == Approx(made[k]).epsilon(1e-7));
  CHECK_THROWS_AS(fit_logistic(x, Numbers(60, 1.0)), std::invalid_argument);
  CHECK_THROWS_AS(fit_logistic(Numbers{1, 2}, Numbers{1, 2}), std::invalid_argument);
}

TEST_CASE("Agreement leaves out what is undefined") {
  const Agreement found = agreement(Numbers{1, 2, 3, 4}, Numbers{1, 2, 4, 3});
  CHECK(found.mse == 0.5);
  CHECK(found.mae == 0.5);
  CHECK(found.cosine.value() == nearly(29.0 / 30));
  CHECK(found.kappa.value() == nearly(1 - 0.5 / 2.5));
  const Agreement constant = agreement(Numbers{3, 3}, Numbers{3, 3});
  CHECK((!constant.pearson && !constant.spearman && !constant.kendall && !constant.kappa));
  CHECK(constant.cosine.value() == nearly(1));
  CHECK_FALSE(agreement(Numbers{0, 0}, Numbers{1, 2}).cosine);
  CHECK_FALSE(agreement(Numbers{0.5, 1}, Numbers{1, 2}).kappa);
}
