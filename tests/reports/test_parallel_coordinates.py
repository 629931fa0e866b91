from unmix.reports.parallel_coordinates import parallel


def lines(chart):
    """Heights of every line, in the order in which they are drawn."""
    numbers = dict.fromkeys(row["row"] for row in chart["data"]["values"] if "row" in row)
    return [[row["height"] for row in chart["data"]["values"] if row.get("row") == number] for number in numbers]


def best(chart):
    (label,) = {row["label"] for row in chart["data"]["values"] if row.get("rank") == "best"}
    return label


def test_the_best_row_is_drawn_over_the_others():
    rows = [{"size": 1, "kind": "a", "loss": 1.0}, {"size": 2, "kind": "b", "loss": 3.0}, {"size": 9, "kind": None}]
    chart = parallel("Which?", rows, ["size", "kind", "loss"])
    assert lines(chart) == [[1, 1, 1], [0, 0, 0]]
    assert best(chart) == "size 1, kind a, loss 1"
    assert best(parallel("Which?", rows, ["size", "kind", "loss"], is_better_high=True)) == "size 2, kind b, loss 3"


def test_no_value_is_written_over_another():
    rows = [{"size": size, "sdr": sdr} for size, sdr in ((1, 4.0), (2, 4.95), (3, 5.0), (4, 4.5))]
    chart = parallel("Which?", rows, ["size", "sdr"], is_better_high=True)
    ticks = {row["tick"] for row in chart["data"]["values"] if "tick" in row}
    assert ticks == {"1", "2", "3", "4", "4.5", "5"}, "not 4.95"


def test_axes_are_named_by_the_last_part_unless_two_are_equal():
    rows = [{"model.size": 1, "data.size": 2, "optimizer.lr": i, "loss": i} for i in range(2)]
    chart = parallel("Which?", rows, ["model.size", "data.size", "optimizer.lr", "loss"])
    assert chart["layer"][0]["encoding"]["x"]["sort"] == ["model.size", "data.size", "lr", "loss"]


def test_two_rows_and_two_columns_are_needed():
    rows = [{"size": 1, "loss": 1.0}, {"size": 2, "loss": 3.0}]
    assert parallel("Which?", rows[:1], ["size", "loss"]) is None
    assert parallel("Which?", rows, ["loss"]) is None
