"""Seconds in words."""


def duration(seconds: float) -> str:
    """Seconds in words: `4.2 s`, `43 s`, `4 min 12 s`, `1 h 2 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
