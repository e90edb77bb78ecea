"""Tables of votes and opinions, and `unisim score 2afc` and `unisim score mos` over them."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import unisim
from unisim import vote_tables

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


def table(name, header, rows):
    Path(name).write_text("\n".join([header, *(",".join(map(repr, map(float, row))) for row in rows)]) + "\n")
    return name


def opinions(n=80):
    generator = np.random.default_rng(1)
    score = generator.uniform(0, 1, n)
    return score, 20 + 60 / (1 + np.exp(-8 * (score - 0.5))) + generator.normal(0, 5, n)


def test_the_2afc_score_of_a_table_is_a_direct_computation():
    generator = np.random.default_rng(2)
    d0, d1 = generator.integers(0, 40, (2, 36_000)) / 64
    votes = generator.integers(0, 6, 36_000) / 5
    found = vote_tables.score_2afc(table("votes.csv", "d0,d1,vote", zip(d0, d1, votes, strict=True)))
    agreed = np.where(d1 < d0, votes, np.where(d0 < d1, 1 - votes, 0.5))
    assert found["score"] == pytest.approx(agreed.mean(), rel=1e-12)  # numpy adds in another order
    assert (found["n"], found["ties"]) == (36_000, int((d0 == d1).sum()))
    low, high = found["interval"]
    # Of so many the bootstrap is close to the normal interval: 10,000 resamples place an end to 3 % of a deviation.
    half = 1.959964 * agreed.std() / np.sqrt(36_000)
    assert low == pytest.approx(agreed.mean() - half, abs=half / 20)
    assert high == pytest.approx(agreed.mean() + half, abs=half / 20)


def test_opinions_are_correlated_before_and_after_the_fit():
    score, mos = opinions()
    found = vote_tables.score_mos(table("mos.csv", "score,mos", zip(score, mos, strict=True)))
    fit = unisim.fit_logistic(score, mos)
    assert found["n"] == 80 and found["parameters"] == fit.parameters and found["converged"] is True
    assert found["spearman"] == pytest.approx(stats.spearmanr(score, mos).statistic, rel=1e-10)
    assert found["kendall"] == pytest.approx(stats.kendalltau(score, mos).statistic, rel=1e-10)
    assert (found["pearson"], found["rmse"]) == (fit.pearson, fit.rmse)
    for name in ("spearman", "pearson"):
        low, high = found[f"{name}_interval"]
        assert low < found[name] < high


def test_the_commands_print_what_the_functions_return(run):
    votes = table("votes.csv", "d0,d1,vote", [(1, 2, 0.2), (3, 1, 0.6), (1, 1, 0.9)])
    code, out, err = run("score", "2afc", votes, "--json")
    assert (code, err) == (0, "")
    expected = {"unisim": unisim.__version__, "file": votes, **vote_tables.score_2afc(votes)}
    assert json.loads(out) == expected and expected["score"] == pytest.approx((0.8 + 0.6 + 0.5) / 3)
    assert repr(expected["score"]) in run("score", "2afc", votes)[1]
    mos = table("mos.csv", "score,mos", zip(*opinions(), strict=True))
    found = json.loads(run("score", "mos", mos, "--json")[1])
    assert found == {"unisim": unisim.__version__, "file": mos, **vote_tables.score_mos(mos)}
    shown = run("score", "mos", mos)[1]
    assert all(repr(found[name]) in shown for name in ("spearman", "kendall", "pearson", "rmse"))


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "line 1: found nothing"),
        (b"d0,d1\n1,2\n", "line 1: found 'd0,d1', expected the header 'd0,d1,vote'"),
        (b"\xef\xbb\xbfd0,d1,vote\n1,2,0\n", "line 1: found"),
        (b"d0,d1,vote\n", "found 0 rows"),
        (b"d0,d1,vote\n1,2,0\n", "found 1 rows"),
        (b"d0,d1,vote\n1,2,0\n1,2\n", "line 3: found 2 fields, expected 3"),
        (b"d0,d1,vote\n1,2,0\n\n1,2,0\n", "line 3: found 0 fields"),
        (b"d0,d1,vote\n1,2,0\n1,x,0\n", "line 3: d1 is 'x', expected a finite number"),
        (b"d0,d1,vote\nnan,2,0\n", "line 2: d0 is 'nan'"),
        (b"d0,d1,vote\n1,-inf,0\n", "line 2: d1 is '-inf'"),
        (b"d0,d1,vote\n1,1e999,0\n", "line 2: d1 is '1e999'"),
        (b"d0,d1,vote\n1, 2,0\n", "line 2: d1 is ' 2'"),
        (b"d0,d1,vote\n1,1_0,0\n", "line 2: d1 is '1_0'"),
        (b"d0,d1,vote\n1,2,1.01\n", r"line 2: vote is 1.01, expected a share in \[0, 1\]"),
        (b"d0,d1,vote\n1,2,-0.5\n", "line 2: vote is -0.5"),
        (b'd0,d1,vote\n1,"2"3,0\n', "line 2: not CSV"),
        (b"d0,d1,vote\n1,\xff,0\n", "not UTF-8"),
    ],
)
def test_a_table_that_is_none_is_refused_with_file_and_line(content, words, run):
    Path("bad.csv").write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        vote_tables.score_2afc("bad.csv")
    assert str(raised.value).startswith("[2afc] bad.csv: ")
    code, out, err = run("score", "2afc", "bad.csv", "--json")
    assert (code, out) == (1, "") and "bad.csv" in err and "Traceback" not in err


def test_opinions_that_do_not_differ_or_are_too_few_are_refused():
    table("bad.csv", "score,mos", [(k, 3) for k in range(9)])
    with pytest.raises(ValueError, match=r"\[mos\] bad.csv: every mos is 3.0"):
        vote_tables.score_mos("bad.csv")
    table("bad.csv", "score,mos", [(k, k) for k in range(4)])
    with pytest.raises(ValueError, match="found 4 rows below the header, expected at least 5"):
        vote_tables.score_mos("bad.csv")
    with pytest.raises(FileNotFoundError):
        vote_tables.score_mos("missing.csv")
