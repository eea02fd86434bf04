"""Expenses, pay, reviews, goals, feedback, events and tickets agree with each other and with the calendar."""

from collections.abc import Mapping

import pandas as pd

Frames = Mapping[str, pd.DataFrame]


def in_euros(company: Frames, rows: pd.DataFrame, amount: str, day: str) -> pd.Series:
    keyed = rows.assign(month=rows[day].dt.to_period("M").dt.to_timestamp().astype("datetime64[us]"))
    merged = keyed.merge(company["exchange_rates"], on=["currency", "month"], how="left")
    assert merged["rate_to_eur"].notna().all()
    return (merged[amount] * merged["rate_to_eur"]).round(2).set_axis(rows.index)


def employment(company: Frames, rows: pd.DataFrame, employee: str = "employee_id") -> pd.DataFrame:
    people = company["employees"][["employee_id", "hired_on", "left_on"]]
    return rows.merge(people, left_on=employee, right_on="employee_id", suffixes=("", "_of_person"))


def test_claims_have_one_to_five_lines_of_the_same_person(company: Frames) -> None:
    lines = company["expense_lines"].merge(company["expense_claims"], on="claim_id", suffixes=("", "_of_claim"))
    assert (lines["employee_id"] == lines["employee_id_of_claim"]).all()
    assert (lines["spent_on"] <= lines["submitted_on"]).all()
    counts = company["expense_lines"].groupby("claim_id").size()
    assert len(counts) == len(company["expense_claims"])
    assert counts.min() == 1
    assert counts.max() == 5


def test_line_amounts_convert_by_the_month_and_limits_are_marked(company: Frames) -> None:
    lines = company["expense_lines"]
    assert (lines["amount_eur"] - in_euros(company, lines, "amount", "spent_on")).abs().max() < 0.011
    limits = company["expense_limits"].set_index("category")["limit_eur"]
    assert limits.to_dict()["client_entertainment"] == 250
    assert (lines["over_limit"] == (lines["amount_eur"] > lines["category"].map(limits))).all()
    assert 0.01 < lines["over_limit"].mean() < 0.1
    assert lines["currency"].nunique() >= 5
    assert lines["category"].nunique() == 9


def test_some_lines_are_claimed_twice_to_the_cent(company: Frames) -> None:
    lines = company["expense_lines"]
    same = ["employee_id", "category", "spent_on", "merchant", "amount", "currency"]
    twice = lines[lines.duplicated(same, keep=False)]
    assert 20 < len(twice) < 0.03 * len(lines)
    assert (twice.groupby(same)["claim_id"].nunique() == 2).sum() > 10


def test_claims_move_on_with_age(company: Frames, today: pd.Timestamp) -> None:
    claims = company["expense_claims"]
    decided = claims["status"].isin(["approved", "rejected", "paid"])
    assert (claims["decided_on"].notna() == decided).all()
    assert (claims["decided_by"].notna() == decided).all()
    assert (claims["paid_on"].notna() == (claims["status"] == "paid")).all()
    assert not (claims[["submitted_on", "decided_on", "paid_on"]] > today).any(axis=None)
    assert not (claims["decided_on"] < claims["submitted_on"]).any()
    assert not (claims["paid_on"] < claims["decided_on"]).any()
    old = claims[claims["submitted_on"] < today - pd.Timedelta(days=70)]
    assert set(old["status"]) == {"paid", "rejected"}


def test_deciders_were_employed_when_they_decided(company: Frames) -> None:
    for table in ("leave_requests", "expense_claims"):
        decided = employment(company, company[table].dropna(subset=["decided_by"]), "decided_by")
        assert (decided["hired_on"] <= decided["decided_on"]).all(), table
        assert decided["left_on"].isna().all(), table
        assert (decided["decided_by"] != decided["employee_id"]).all(), table


def test_salaries_rise_from_hiring_to_today(company: Frames, today: pd.Timestamp) -> None:
    pay = employment(company, company["compensation"]).sort_values(["employee_id", "effective_on"])
    first = pay.groupby("employee_id").first()
    assert (first["effective_on"] == first["hired_on"]).all()
    assert len(first) == len(company["employees"])
    assert (pay["effective_on"] <= today).all()
    assert not (pay["effective_on"] > pay["left_on"]).any()
    grown = pay.groupby("employee_id")["annual_salary"].diff().dropna()
    assert (grown >= 0).all()
    assert (grown > 0).mean() > 0.9


def test_payslips_add_up_and_follow_the_salary(company: Frames) -> None:
    slips = company["payslips"]
    assert ((slips["tax"] + slips["social_security"] + slips["net"] - slips["gross"]).abs() < 0.006).all()
    assert (slips["gross"] + 0.006 >= slips["bonus"] + slips["overtime_pay"]).all()
    assert (slips["gross_eur"] - in_euros(company, slips, "gross", "month")).abs().max() < 0.011
    full = employment(company, slips)
    full = full[(full["bonus"] == 0) & (full["overtime_pay"] == 0) & (full["hired_on"] < full["month"])]
    full = full[full["left_on"].isna()]
    history = company["compensation"][["employee_id", "effective_on", "annual_salary"]]
    paid = pd.merge_asof(
        full.sort_values("month"),
        history.sort_values("effective_on"),
        left_on="month",
        right_on="effective_on",
        by="employee_id",
    )
    monthly = (paid["annual_salary"] / 12).round(2)
    regular = (paid["gross"] - monthly).abs() < 0.011
    # The rest took unpaid leave, and earned less.
    assert regular.mean() > 0.97
    assert (paid.loc[~regular, "gross"] < monthly[~regular]).all()


def test_there_is_one_payslip_a_finished_month_of_employment(company: Frames, today: pd.Timestamp) -> None:
    slips = employment(company, company["payslips"])
    assert slips["month"].max() == today.to_period("M").to_timestamp() - pd.DateOffset(months=1)
    assert not slips.duplicated(["employee_id", "month"]).any()
    assert (slips["hired_on"] < slips["month"] + pd.DateOffset(months=1)).all()
    assert not (slips["month"] > slips["left_on"]).any()
    assert slips.loc[slips["bonus"] > 0, "month"].dt.month.unique().tolist() == [3]
    assert (slips["overtime_pay"] > 0).any()


def test_only_the_current_cycle_is_open_and_only_its_forms_are_incomplete(company: Frames, today: pd.Timestamp) -> None:
    cycles, reviews = company["review_cycles"], company["reviews"]
    current = cycles[(cycles["start_date"] <= today) & (today <= cycles["end_date"])]
    assert list(cycles.loc[cycles["status"] == "open", "cycle_id"]) == list(current["cycle_id"]) == ["2025H2"]
    running = reviews["cycle_id"] == "2025H2"
    assert set(reviews.loc[~running, "status"]) == {"completed"}
    assert set(reviews.loc[running, "status"]) == {"not_started", "in_progress", "submitted", "completed"}
    done = reviews["status"].isin(["submitted", "completed"])
    assert (reviews["rating"].notna() == done).all()
    assert (reviews["submitted_on"].notna() == done).all()
    assert not (reviews["submitted_on"] > today).any()


def test_ratings_are_bell_shaped_and_people_differ(company: Frames) -> None:
    ratings = company["reviews"].dropna(subset=["rating"])
    share = ratings["rating"].value_counts(normalize=True)
    assert set(share.index) == {1, 2, 3, 4, 5}
    assert share[3] > share[4] > share[5]
    assert share[3] > share[2] > share[1]
    between = ratings.groupby("employee_id")["rating"].mean().std()
    assert between > 0.4


def test_goals_weigh_a_hundred_and_settle_with_their_cycle(company: Frames) -> None:
    goals = company["goals"]
    assert (goals.groupby(["employee_id", "cycle_id"])["weight"].sum() == 100).all()
    assert goals["progress"].between(0, 100).all()
    closed = goals["cycle_id"] != "2025H2"
    assert set(goals.loc[closed, "status"]) == {"done", "missed"}
    assert ((goals["progress"] == 100) == (goals["status"] == "done")).all()
    assert not goals.duplicated(["employee_id", "cycle_id", "title"]).any()


def test_feedback_is_between_two_people_who_were_both_here(company: Frames, today: pd.Timestamp) -> None:
    feedback = company["feedback"]
    assert (feedback["from_employee_id"] != feedback["to_employee_id"]).all()
    assert (feedback["given_on"] <= today).all()
    for side in ("from_employee_id", "to_employee_id"):
        joined = employment(company, feedback, side)
        assert (joined["given_on"] >= joined["hired_on"]).all()
        assert not (joined["given_on"] > joined["left_on"]).any()
    manager = company["employees"].set_index("employee_id")["manager_id"]
    from_manager = feedback["to_employee_id"].map(manager) == feedback["from_employee_id"]
    to_manager = feedback["from_employee_id"].map(manager) == feedback["to_employee_id"]
    assert from_manager.any()
    assert to_manager.any()
    assert feedback["text"].nunique() > 100


def test_events_agree_with_employment_and_pay(company: Frames, today: pd.Timestamp) -> None:
    events = employment(company, company["lifecycle_events"])
    assert (events["happened_on"] <= today).all()
    assert not (events["happened_on"] < events["hired_on"]).any()
    assert not (events["happened_on"] > events["left_on"]).any()
    hired, left = events.query("kind == 'hired'"), events.query("kind == 'left'")
    assert len(hired) == len(company["employees"])
    assert (hired["happened_on"] == hired["hired_on"]).all()
    assert len(left) == company["employees"]["left_on"].notna().sum()
    assert (left["happened_on"] == left["left_on"]).all()
    promoted = events.query("kind == 'promoted'").sort_values("happened_on").groupby("employee_id").last()
    grade = company["employees"].set_index("employee_id")["grade"].reindex(promoted.index)
    assert (promoted["detail"].str.split(" → ").str[1] == grade).all()
    raises = company["compensation"][["employee_id", "effective_on"]].itertuples(index=False, name=None)
    found = events.query("kind == 'promoted'")[["employee_id", "happened_on"]].itertuples(index=False, name=None)
    assert set(found) <= set(raises)


def test_tickets_close_after_they_open(company: Frames, today: pd.Timestamp) -> None:
    tickets = company["support_tickets"]
    assert (tickets["closed_on"].notna() == (tickets["status"] == "closed")).all()
    assert not (tickets["closed_on"] < tickets["opened_on"]).any()
    assert not (tickets[["opened_on", "closed_on"]] > today).any(axis=None)
