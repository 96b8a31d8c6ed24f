"""Settlement by hand, in exact fractions: what a pick on a final score pays."""

from fractions import Fraction


def outcome(market: str, side: str, line: float | None, home_score: int, away_score: int) -> str:
    """Win, loss or push of a moneyline, spread or total, overtime counted, no quarter lines.

    Args:
        side: home, away, over or under; the side the game itself calls so.
        line: as seen by the side: -3.5 must win by four.
    """
    taken = Fraction(line or 0)
    margin, total = Fraction(home_score - away_score), Fraction(home_score + away_score)
    lead = {"home": margin + taken, "away": taken - margin, "over": total - taken, "under": taken - total}[side]
    assert market == "totals" or side in ("home", "away")
    assert market != "h2h" or line is None
    return "push" if lead == 0 else "win" if lead > 0 else "loss"


def profit(result: str, price_american: int, stake: int = 1) -> Fraction:
    """Units won or lost. -150 pays 100 for 150, +130 pays 130 for 100."""
    if result == "push":
        return Fraction(0)
    if result == "loss":
        return Fraction(-stake)
    return Fraction(100, -price_american) if price_american < 0 else Fraction(price_american, 100)
