"""What a world is about: names, fields and ages, all drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_NOUNS = ("parcel", "booking", "invoice", "member", "ticket", "order", "lesson", "rental", "claim", "voucher")
_DESKS = ("desk", "office", "hub", "counter", "front", "room")
_KITS = ("kit", "core", "base", "lib", "parts")
_READERS = ("fields", "reading", "records", "model", "lookup")
_FORMATS = ("amounts", "formats", "wording")
_VIEWS = ("label", "receipt", "card", "badge", "slip", "sheet", "notice")
_PEOPLE = (
    "Ada Brandt",
    "Noor Haddad",
    "Tom Okafor",
    "Mina Castell",
    "Iris Lund",
    "Jonas Weber",
    "Priya Nair",
)


@dataclass(frozen=True)
class Field:
    """A value that moved to a new field. `samples` are what records hold, oldest first."""

    old: str
    new: str
    samples: tuple[str | int, ...]

    @property
    def kind(self) -> str:
        """Of which kind the value is: "text" or "number"."""
        return "text" if isinstance(self.samples[0], str) else "number"


@dataclass(frozen=True)
class Use:
    """What the service does with the value: `expression`, where `{v}` stands for it, fails on None."""

    kind: str
    key: str  # of the answer
    expression: str


_FIELDS = (
    Field("name", "full_name", ("Berta", "Carlo", "Dana Roth", "Emil Voss", "Fay Lindt")),
    Field("title", "display_title", ("Spring", "Summer", "Autumn fair", "Winter fair", "Open day")),
    Field("contact", "contact_name", ("Hanna", "Igor", "Jan Peters", "Kim Larsen", "Lou Meyer")),
    Field("caption", "public_caption", ("north gate", "south gate", "East hall", "West hall", "Main hall")),
    Field("shelf", "storage_shelf", ("a-17", "b-04", "C-22 left", "D-09 right", "E-31 left")),
    Field("fee", "service_fee", (450, 900, 1250, 1600, 2100)),
    Field("weight", "net_weight", (320, 1280, 760, 2400, 515)),
    Field("minutes", "booked_minutes", (30, 45, 60, 90, 120)),
    Field("units", "billed_units", (3, 12, 7, 25, 40)),
)

_USES = (
    Use("text", "heading", "{v}.strip().upper()"),
    Use("text", "line", '"For " + {v}'),
    Use("text", "initials", '"".join(word[0] for word in {v}.split())'),
    Use("text", "short", "{v}[:24]"),
    Use("text", "sorted_as", "{v}.casefold()"),
    Use("number", "total", "{v} * 3 + 25"),
    Use("number", "rounded", "round({v} / 10) * 10"),
    Use("number", "shown", 'f"{{{v}:,.2f}}"'),
    Use("number", "at_least", "max({v}, 10)"),
    Use("number", "with_handling", "150 + {v}"),
)

# How the library's function reads: before `{r}` nothing, the value is what `{r}` reads.
_SHAPES = (
    "    return {r}\n",
    "    found = {r}\n    return found\n",
    "    if not record:\n        raise ValueError({e!r})\n    return {r}\n",
)
_OLD_READINGS = ("record[{f!r}]", "record.get({f!r})")


@dataclass(frozen=True)
class Plan:
    """Everything that is drawn. Ages are days before now."""

    noun: str
    service: str
    library: str
    reader_module: str
    format_module: str
    reader: str
    view: str
    field: Field
    use: Use
    shape: str
    old_reading: str
    people: tuple[str, ...]
    culprit_age: int
    planted_from_start: bool

    @property
    def plural(self) -> str:
        """The records' name in addresses."""
        return self.noun + "s"

    @property
    def new_reading(self) -> str:
        """What the library reads since the culprit: None where the field is not there."""
        return f"record.get({self.field.new!r})"

    @property
    def crash_function(self) -> str:
        """The function of the service that fails."""
        return f"{self.noun}_{self.view}"

    @property
    def reader_path(self) -> str:
        """The file of the library that the culprit changes."""
        return f"src/{self.library}/{self.reader_module}.py"

    @property
    def crash_path(self) -> str:
        """The file of the service in which it crashes."""
        return f"{self.service}/{self.view}s.py"

    def record_id(self, number: int) -> str:
        """The id of the record of that number, from 0, oldest first."""
        return f"{self.noun[0]}-{number + 11}"


def draw(random: Random, *, planted_from_start: bool) -> Plan:
    """A plan from a seeded generator. `planted_from_start`: the library always read the new field."""
    noun, desk = random.choice(_NOUNS), random.choice(_DESKS)
    field = random.choice(_FIELDS)
    people = list(_PEOPLE)
    random.shuffle(people)
    return Plan(
        noun=noun,
        service=f"{noun}{desk}",
        library=f"{noun}{random.choice(_KITS)}",
        reader_module=random.choice(_READERS),
        format_module=random.choice(_FORMATS),
        reader=random.choice((f"{field.old}_of", f"read_{field.old}", f"{noun}_{field.old}")),
        view=random.choice(_VIEWS),
        field=field,
        use=random.choice([use for use in _USES if use.kind == field.kind]),
        shape=random.choice(_SHAPES),
        old_reading=random.choice(_OLD_READINGS).format(f=field.old),
        people=tuple(people[:4]),
        culprit_age=random.randint(30, 60),
        planted_from_start=planted_from_start,
    )
