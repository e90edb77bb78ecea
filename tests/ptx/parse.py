"""PTX text to kernels: parameters, registers, variables and instructions, each with its line."""

import re
from collections import ChainMap
from dataclasses import dataclass, field

BITS = {
    "pred": 1, "b8": 8, "u8": 8, "s8": 8, "b16": 16, "u16": 16, "s16": 16, "f16": 16, "bf16": 16,
    "b32": 32, "u32": 32, "s32": 32, "f32": 32, "f16x2": 32, "bf16x2": 32,
    "b64": 64, "u64": 64, "s64": 64, "f64": 64,
}  # fmt: skip


class PtxError(Exception):
    """A fault of the program that is executed, or of its launch."""


class Unknown(PtxError):
    """What the runner does not know how to execute."""


@dataclass(frozen=True)
class Reg:
    name: str


@dataclass(frozen=True)
class Not:
    name: str


@dataclass(frozen=True)
class Imm:
    bits: int
    kind: str  # "int", "f32" or "f64"


@dataclass(frozen=True)
class Symbol:
    name: str


@dataclass(frozen=True)
class Mem:
    base: object  # Reg, Symbol or Imm
    offset: int


@dataclass(frozen=True)
class Vec:
    parts: tuple


@dataclass(frozen=True)
class Pair:
    """d|p: a result and a predicate."""

    first: object
    second: object


@dataclass(frozen=True)
class Instruction:
    line: int
    name: str
    types: tuple  # the modifiers that are types, in order
    flags: tuple  # the other modifiers, in order
    operands: tuple
    guard: object = None  # Reg, Not or None

    @property
    def text(self):
        return ".".join((self.name, *self.flags, *self.types))

    def only(self, *allowed):
        """The flags, all of them known to the caller."""
        for flag in self.flags:
            if flag not in allowed:
                self.refuse(f"modifier .{flag}")
        return self.flags

    def refuse(self, what):
        raise Unknown(f"line {self.line}: {what} of {self.text} is not known to the runner")


@dataclass
class Variable:
    name: str
    space: str  # global, const, shared, local or param
    align: int
    size: int | None  # bytes; None: the launch's dynamic shared memory
    data: bytes = b""
    kind: str = "b8"


@dataclass
class Kernel:
    """An entry; its body is read when it is first asked for."""

    name: str
    params: list
    body: str = ""
    line: int = 0  # where the body begins
    registers: dict = field(default_factory=dict)  # name to type
    variables: list = field(default_factory=list)
    code: list = field(default_factory=list)
    labels: dict = field(default_factory=dict)  # name to place in code
    tables: dict = field(default_factory=dict)  # of brx.idx: name to labels

    def read(self):
        if self.body:
            body, self.body = self.body, ""
            read_body(self, body, self.line)
        return self


@dataclass
class Program:
    kernels: dict
    variables: list


VARIABLE = re.compile(
    r"(?:\.(?:visible|extern|weak)\s+)*\.(?P<space>global|const|shared|local|param)\s+"
    r"(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<kind>\w+)\s+(?:\.ptr\s+(?:\.\w+\s+)?(?:\.align\s+\d+\s+)?)?"
    r"(?P<name>[\w$]+)\s*(?P<shape>(?:\[\d*\]\s*)*)"
    r"(?:=\s*(?P<data>.*))?$",
    re.DOTALL,
)
ENTRY = re.compile(r"(?:\.(?:visible|weak)\s+)*\.entry\s+([\w$]+)\s*\(")
LABEL = re.compile(r"([$%\w]+)\s*:(?!:)")
LIST = re.compile(r"%?[\w$]+")


def parse(text):
    """All kernels of a module. Functions that are called are left out: a call is refused when it is met."""
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"/\*.*?\*/", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL)
    program = Program({}, [])
    at = 0
    while match := re.compile(r"\S").search(text, at):
        at = match.start()
        line = text.count("\n", 0, at) + 1
        if re.compile(r"\.(version|target|address_size)\b").match(text, at):
            at = text.index("\n", at)
        elif entry := ENTRY.match(text, at):
            close = closing(text, entry.end() - 1, "()")
            body = text.index("{", close)
            end = closing(text, body, "{}")
            params = [variable(p.strip(), line) for p in text[entry.end() : close].split(",") if p.strip()]
            line = text.count("\n", 0, body) + 1
            program.kernels[entry[1]] = Kernel(entry[1], params, text[body + 1 : end], line)
            at = end + 1
        elif re.compile(r"(\.\w+\s+)*\.func\b").match(text, at):
            at = after_function(text, at)
        else:
            end = text.index(";", at)
            program.variables.append(variable(text[at:end].strip(), line))
            at = end + 1
    return program


def closing(text, at, pair):
    depth = 0
    for match in re.compile("[" + re.escape(pair) + "]").finditer(text, at):
        depth += 1 if match[0] == pair[0] else -1
        if depth == 0:
            return match.start()
    raise PtxError(f"{pair[0]} without {pair[1]}")


def after_function(text, at):
    stop = re.compile(r"[;{]").search(text, at)
    return (closing(text, stop.start(), "{}") if stop[0] == "{" else stop.start()) + 1


def variable(text, line):
    match = VARIABLE.match(text)
    if not match or match["kind"] not in BITS:
        raise Unknown(f"line {line}: a declaration that the runner does not know: {text}")
    unit = BITS[match["kind"]] // 8
    counts = [int(n) if n else None for n in re.findall(r"\[(\d*)\]", match["shape"])]
    size = unit
    for count in counts:
        size = None if count is None or size is None else size * count
    data = initial(match["data"], match["kind"], line) if match["data"] else b""
    return Variable(match["name"], match["space"], int(match["align"] or unit), size, data, match["kind"])


def initial(text, kind, line):
    """The bytes of an initialiser; numbers only."""
    out = b""
    for word in re.findall(r"[^\s,{}]+", text):
        number = operand(word, {})
        if not isinstance(number, Imm):
            raise Unknown(f"line {line}: an initialiser that is no number: {word}")
        out += (number.bits % (1 << BITS[kind])).to_bytes(BITS[kind] // 8, "little")
    return out


def statements(text, line):
    """(line, statement): "{", "}", "label:" or what ends at a semicolon."""
    at = 0
    start = re.compile(r"\S")
    while match := start.search(text, at):
        line += text.count("\n", at, match.start())
        at = match.start()
        if text[at] in "{}":
            end = at + 1
            yield line, text[at]
        elif label := LABEL.match(text, at):
            end = label.end()
            yield line, label[0]
        else:
            end = text.index(";", at) + 1
            yield line, " ".join(text[at : end - 1].split())
        line += text.count("\n", at, end)
        at = end


def read_body(kernel, text, first_line):
    scopes = [{}]  # declared name to the register's own, the innermost first
    names, known, label = ChainMap(*scopes), {}, None
    for line, statement in statements(text, first_line):
        if statement == "{":
            scopes.insert(0, {})
            names, known = ChainMap(*scopes), {}
        elif statement == "}":
            scopes.pop(0)
            names, known = ChainMap(*scopes), {}
        elif statement.endswith(":") and LABEL.fullmatch(statement):
            label = statement[:-1].strip()
            kernel.labels[label] = len(kernel.code)
        elif statement.startswith(".reg "):
            declare(kernel, statement, scopes)
        elif statement.startswith(".branchtargets"):
            kernel.tables[label] = LIST.findall(statement.removeprefix(".branchtargets"))
            del kernel.labels[label]
        elif statement.startswith(".pragma"):
            pass
        elif statement.startswith("."):
            kernel.variables.append(variable(statement, line))
        else:
            kernel.code.append(instruction(statement, line, names, known))


def declare(kernel, statement, scopes):
    kind, names = re.match(r"\.reg \.(\w+) (.*)", statement).groups()
    for name in names.split(","):
        many = re.fullmatch(r"\s*([%\w$]+)<(\d+)>\s*", name)
        for one in [f"{many[1]}{k}" for k in range(int(many[2]))] if many else [name.strip()]:
            own = one if len(scopes) == 1 else f"{one}#{len(kernel.registers)}"
            scopes[0][one] = own
            kernel.registers[own] = kind


def instruction(statement, line, names, known):
    """`known` keeps what words stand for as long as no scope begins or ends."""
    guard = None
    if statement.startswith("@"):
        word, statement = statement[1:].split(None, 1)
        guard = operand(word, names)
    head, _, rest = statement.partition(" ")
    name, *modifiers = head.split(".")
    types = tuple(word for word in modifiers if word in BITS)
    flags = tuple(word for word in modifiers if word not in BITS)
    operands = []
    for word in split(rest):
        if word not in known:
            known[word] = operand(word, names)
        operands.append(known[word])
    operands = tuple(operands)
    return Instruction(line, name, types, flags, operands, guard)


def split(text):
    """At the commas outside brackets."""
    if not any(c in text for c in "[{("):
        return [word.strip() for word in text.split(",")] if text.strip() else []
    out, depth, word = [], 0, ""
    for c in text:
        depth += (c in "[{(") - (c in ")}]")
        if c == "," and depth == 0:
            out.append(word.strip())
            word = ""
        else:
            word += c
    return [*out, word.strip()] if word.strip() else out


def operand(word, names):
    if word.startswith("{"):
        return Vec(tuple(operand(part, names) for part in split(word[1:-1])))
    if word.startswith("["):
        base, sign, offset = re.fullmatch(r"([^+\-\s]+)\s*(?:([+-])\s*(-?\w+))?", word[1:-1].strip()).groups()
        return Mem(operand(base, names), int(offset or "0", 0) * (-1 if sign == "-" else 1))
    if "|" in word:
        first, second = word.split("|")
        return Pair(operand(first.strip(), names), operand(second.strip(), names))
    if word.startswith("!"):
        return Not(operand(word[1:].strip(), names).name)
    if float_bits := re.fullmatch(r"0([fF][0-9a-fA-F]{8}|[dD][0-9a-fA-F]{16})", word):
        return Imm(int(float_bits[1][1:], 16), "f32" if float_bits[1][0] in "fF" else "f64")
    if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)U?", word):
        return Imm(int(word.rstrip("U"), 0), "int")
    if word in names:
        return Reg(names[word])
    return Reg(word) if word.startswith("%") else Symbol(word)
