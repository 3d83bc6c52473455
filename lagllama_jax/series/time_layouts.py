"""The layouts in which people write dates and times of day, as regular expressions."""

MONTHS = {
    word: month
    for month, words in enumerate(
        (
            "january jan januar januari jaenner janner janvier janv enero ene gennaio gen janeiro",
            "february feb februar februari febr fevrier fevr fev febrero febbraio fevereiro",
            "march mar marz mars marts mrz maerz marzo marco maart mrt",
            "april apr avril avr abril abr aprile",
            "may mai maj mei mayo maggio mag maio",
            "june jun juni juin junio giugno giu junho",
            "july jul juli juillet juil julio luglio lug julho",
            "august aug augusti augustus aout agosto ago",
            "september sep sept septembre septiembre settembre setembro set",
            "october oct oktober okt octobre octubre ottobre ott outubro out",
            "november nov novembre noviembre novembro",
            "december dec dezember dez decembre diciembre dic dicembre dezembro desember des",
        ),
        start=1,
    )
    for word in words.split()
}
"""Month names without accents, in English, German, French, Spanish, Italian, Portuguese, Dutch,
Swedish, Danish and Norwegian. No word means two months in these languages."""

_DAY = r"(?P<d>\d\d?)(?:st|nd|rd|th|er)?"
_NAME = r"(?P<name>[a-z]{3,10})\.?"
_YEAR, _ANY_YEAR = r"(?P<y>\d{4})", r"'?(?P<y>\d{4}|\d\d)"
_GAP = r"[-\s,./]*"
_WORD = r"(?:[a-z]+\.?,?\s+)?"  # such as the day of the week
_QUARTER = r"(?:q|qtr|quarter|quartal|t)"
_WEEK = r"(?:w|kw|cw|week|woche)"

_NUMERIC = [
    (layout.replace("~", mark), True)
    for mark in ("-", "/", r"\.", r"\.\s", r"\s", "_", ",")
    for layout in (
        rf"{_WORD}{_YEAR}~(?P<m>\d\d?)~(?P<d>\d\d?)\.?",
        rf"{_WORD}(?P<a>\d\d?)~(?P<b>\d\d?)~(?P<c>\d{{4}}|\d\d)",
    )
]
_OTHERS = {
    r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)": True,
    rf"{_WORD}{_DAY}\.?{_GAP}(?:of |de |d')?{_NAME}{_GAP}(?:de )?{_ANY_YEAR}": True,
    rf"{_WORD}{_NAME}{_GAP}{_DAY}[-\s,./]+{_YEAR}": True,
    rf"{_YEAR}{_GAP}{_NAME}{_GAP}{_DAY}": True,
    r"(?P<y>\d{4})[-.](?P<j>\d{3})": True,
    r"(?P<j>\d{3})[-/.](?P<y>\d{4})": True,
    r"(?P<y>\d{4})-?w(?P<week>\d\d)-?(?P<weekday>[1-7])": True,
    rf"{_NAME}{_GAP}(?:de )?{_YEAR}": False,
    rf"{_NAME}[-\s']*(?P<short>\d\d)": False,
    rf"{_YEAR}{_GAP}{_NAME}": False,
    r"(?P<y>\d{4})[-/](?P<next>\d{4}|\d\d)": False,
    r"(?P<y>\d{4})(?:[-/\s_]|[-\s]?m)(?P<m>\d\d?)": False,
    r"m?(?P<m>\d\d?)[-/._m\s](?P<y>\d{4})": False,
    rf"{_YEAR}(?:[-/]|[-\s/]?{_WEEK}\s?)(?P<week>\d\d?)": False,
    rf"(?:{_WEEK}\s?)?(?P<week>\d\d?)[-/,\s]+{_YEAR}": False,
    rf"{_YEAR}[-\s:/.]?{_QUARTER}\s?0?(?P<q>[1-4])": False,
    rf"{_QUARTER}\s?(?P<q>[1-4])[-\s/.]*{_ANY_YEAR}": False,
    rf"(?P<q>[1-4])\.?\s?{_QUARTER}[-\s/]?{_ANY_YEAR}": False,
    r"(?:fy\s?)?(?P<y>\d{4})": False,
}
_ZONE = (
    r"\s?\(?(?P<zone>[a-z]{1,5})?\s?"
    r"(?:(?P<sign>[-+\x{2212}])(?P<zh>\d\d?)(?::?(?P<zm>\d\d))?)?\)?"
)
_CLOCK = (
    rf"(?:(?:\s?[t,_;/]\s?|\s+(?:-\s)?)(?:at\s)?(?P<h>\d\d?)(?:[:.h]?(?P<min>\d\d)"
    rf"(?:[:.]?(?P<s>\d\d)(?:[.,](?P<f>\d{{1,9}}))?)?)?(?:h|\suhr)?"
    rf"(?:\s?(?P<half>[ap])\.?\s?m\.?)?{_ZONE})?"
)
LAYOUTS = [
    rf"^{date}(?:\s?\([a-z]+\.?\))?{_CLOCK}$" if whole else f"^{date}$"
    for date, whole in (*_NUMERIC, *_OTHERS.items())
]
"""Expressions of RE2 for text in lower case without accents, in the order of preference."""

REWRITES = (
    ("[\u65e5\u6708]$", ""),
    ("[\u5e74\u6708]", "-"),
    (r"([-+]\d\d:?\d\d|\dz)\s?(?:\[[^\]]*\]|\(?[a-z]+\)?)$", r"\1"),
    (r"^(\d{4}-\d\d-\d\d)\s?(z|utc|gmt|[-+]\d\d:\d\d)$", r"\1 00:00\2"),
    (r"\[(utc|gmt)\]$", r" \1"),
    (r"(\d{4}):(\d\d:\d\d)", r"\1 \2"),
    (r"(\d:\d\d(?::\d\d)?(?:\s?[ap]m)?)\s+(?:-|to|bis)\s+\S*\s?\d\d?:\d\d.*$", r"\1"),
    (r"^(\d{4}-\d\d-\d\d[^/]*)/\d{4}-\d\d-\d\d.*$", r"\1"),
    (r"^(\d\d?:\d\d(?::\d\d)?(?:\s?[ap]\.?m\.?)?),?\s+(.*\d.*)$", r"\2 \1"),
    (r"^(.*[a-z]{3,}\s+\d\d?) (\d\d:\d\d:\d\d)(\s[a-z]+)? (\d{4})$", r"\1 \4 \2\3"),
)
"""Replacements by which unusual orders and intervals become usual text with one time."""
