#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "stats_sample.h"

namespace unisim {
namespace {

using Parameters = Eigen::Matrix<double, 5, 1>;
using Jacobian = Eigen::Matrix<double, Eigen::Dynamic, 5>;

/// Numbers as they are fitted: mean 0 and deviation 1, so that no unit of x or of the scores makes the steps
/// ill conditioned. The start is {range, 1, 0, 0, 0} in these.
struct Standard {
  explicit Standard(std::span<const double> given) : values(static_cast<Eigen::Index>(given.size())) {
    // By the largest first: neither the sum nor a square shall overflow.
    double largest = 0;
    for (const double value : given) largest = std::max(largest, std::abs(value));
    std::ranges::transform(given, values.begin(), [&](double value) { return value / largest; });
    mean = values.mean();
    values.array() -= mean;
    deviation = std::sqrt(values.squaredNorm() / static_cast<double>(values.size()));
    values /= deviation;
    mean *= largest;
    deviation *= largest;
  }

  Eigen::VectorXd values;
  double mean = 0, deviation = 0;
};

/// 1 / (1 + exp(b2 (x - b3))), exp held where it is finite.
double falling(const Parameters& b, double x) {
  return 1 / (1 + std::exp(std::min(b[1] * (x - b[2]), 700.0)));
}

Eigen::VectorXd curve(const Parameters& b, const Eigen::VectorXd& x) {
  return x.unaryExpr([&](double value) { return b[0] * (0.5 - falling(b, value)) + b[3] * value + b[4]; });
}

Jacobian slopes(const Parameters& b, const Eigen::VectorXd& x) {
  Jacobian out(x.size(), 5);
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    const double g = falling(b, x[i]), bend = b[0] * g * (1 - g);
    out.row(i) << 0.5 - g, bend * (x[i] - b[2]), -bend * b[1], x[i], 1;
  }
  return out;
}

/// The step of Levenberg and Marquardt: least squares of the linearised curve with its parameters held by
/// sqrt(damping) times their scale. By QR of both together, since the normal equations would square the
/// condition.
Parameters damped_step(const Jacobian& slope, const Eigen::VectorXd& residual, const Parameters& scale,
                       double damping) {
  Jacobian held(slope.rows() + 5, 5);
  held.topRows(slope.rows()) = slope;
  held.bottomRows(5) = (std::sqrt(damping) * scale).asDiagonal().toDenseMatrix();
  Eigen::VectorXd right = Eigen::VectorXd::Zero(held.rows());
  right.head(slope.rows()) = residual;
  return held.colPivHouseholderQr().solve(right);
}

struct Minimum {
  Parameters b;
  double error = 0;      ///< sum of squares
  bool reached = false;  ///< else the best that was found
};

Minimum minimum_from(Parameters b, const Standard& x, const Standard& scores) {
  constexpr double tiny = 1e-14;
  Eigen::VectorXd residual = scores.values - curve(b, x.values);
  double damping = 1e-3;
  Parameters scale = Parameters::Zero();
  for (int step = 0; step < 1000; ++step) {
    const Jacobian slope = slopes(b, x.values);
    scale = scale.cwiseMax(slope.colwise().norm().transpose()).cwiseMax(1e-12);
    const Parameters change = damped_step(slope, residual, scale, damping);
    const Parameters next = b + change;
    const Eigen::VectorXd left = scores.values - curve(next, x.values);
    const double before = residual.squaredNorm(), after = left.squaredNorm();
    const bool better = after < before;
    // Of the error that is left the step promises nothing, or of the parameters it changes nothing.
    const double promised = before - (residual - slope * change).squaredNorm();
    const bool settled = (promised <= tiny * before && std::abs(before - after) <= tiny * before) ||
                         change.norm() <= tiny * (b.norm() + tiny);
    if (better) {
      b = next;
      residual = left;
    }
    if (settled) return {b, residual.squaredNorm(), true};
    damping = better ? std::max(damping / 10, 1e-15) : damping * 10;
  }
  return {b, residual.squaredNorm(), false};
}

}  // namespace

LogisticFit fit_logistic(std::span<const double> x, std::span<const double> scores) {
  require_paired("fit_logistic", x, scores, 5);
  require_finite("fit_logistic", "x", x);
  require_finite("fit_logistic", "scores", scores);
  const auto [x_least, x_most] = std::ranges::minmax(x);
  const auto [least, most] = std::ranges::minmax(scores);
  require(x_least < x_most, "[fit_logistic] all of x are ", x_least, ": nothing can be fitted to a constant");
  require(least < most, "[fit_logistic] all scores are ", least, ": a constant needs no fit");

  const Standard from(x), to(scores);
  // A distance falls with the opinion, and from the rising start a minimum of its own may be reached.
  const double range = to.values.maxCoeff() - to.values.minCoeff();
  Minimum found = minimum_from({range, 1, 0, 0, 0}, from, to);
  if (const Minimum falls = minimum_from({-range, 1, 0, 0, 0}, from, to); falls.error < found.error)
    found = falls;
  const Parameters& b = found.b;
  LogisticFit fit;
  fit.converged = found.reached;
  const Eigen::VectorXd predicted = (curve(b, from.values) * to.deviation).array() + to.mean;
  fit.predictions.assign(predicted.begin(), predicted.end());
  // The same curve in the units given.
  const double slope = b[3] * to.deviation / from.deviation;
  fit.parameters = {b[0] * to.deviation, b[1] / from.deviation, from.mean + b[2] * from.deviation, slope,
                    b[4] * to.deviation + to.mean - slope * from.mean};
  double squares = 0;
  for (std::size_t i = 0; i < scores.size(); ++i)
    squares += (fit.predictions[i] - scores[i]) * (fit.predictions[i] - scores[i]);
  fit.rmse = std::sqrt(squares / static_cast<double>(scores.size()));
  fit.pearson = pearson(fit.predictions, scores);
  return fit;
}

}  // namespace unisim
