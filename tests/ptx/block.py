"""Runs one block: the threads at the lowest place in the code step together, so that what parted meets again.

Threads wait at a barrier until all that have not returned stand there, and at a warp operation for the lanes
its mask names. A kernel's code is cut into runs without a branch or a label.
"""

from dataclasses import dataclass

import numpy as np

from .machine import WARP, warps_of
from .operations import WARP_WIDE, build
from .parse import Instruction, PtxError, Reg

FAR = 1 << 60
STEPS = 3_000_000  # of one block: more is taken for an endless loop


@dataclass
class Run:
    """Operations one after another, then what decides where to go; `end` None: on to the next."""

    operations: list
    end: object = None
    instruction: Instruction | None = None


class Branch:
    def __init__(self, target, guard=None, wanted=True):
        self.target, self.guard, self.wanted = target, guard, wanted

    def targets(self, active):
        """(taken, not taken) as masks; None for no thread."""
        if self.guard is None:
            return active, None
        yes = (self.guard if self.wanted else ~self.guard) & active
        no = active & ~yes
        return (yes if yes.any() else None), (no if no.any() else None)


class Table:
    def __init__(self, index, targets):
        self.index, self.targets = index, targets


class Return(Branch):
    pass


class Barrier:
    pass


class WarpWide:
    def __init__(self, run, mask, guard, always_whole):
        self.run, self.mask, self.guard, self.always_whole = run, mask, guard, always_whole


def compile_kernel(kernel, machine):
    starts = {0, *kernel.labels.values()}
    runs, first_run, current = [], {}, None
    for place, i in enumerate(kernel.code):
        if place in starts or current is None:
            current = Run([])
            first_run[place] = len(runs)
            runs.append(current)
        end = ending(i, machine)
        if end is None:
            current.operations.append(build(i, machine))
        else:
            current.end, current.instruction = end, i
            current = None
    first_run[len(kernel.code)] = len(runs)
    runs.append(Run([], Return(None)))
    for run in runs:
        if isinstance(run.end, Return):
            continue
        if isinstance(run.end, Branch):
            run.end.target = first_run[kernel.labels[run.end.target]]
        elif isinstance(run.end, Table):
            run.end.targets = np.array(
                [first_run[kernel.labels[name]] for name in kernel.tables[run.end.targets]]
            )
    return runs


def ending(i, machine):
    if i.name in ("bra", "ret", "exit"):
        i.only("uni")
        guard = machine.register(i, i.guard) if i.guard else None
        wanted = isinstance(i.guard, Reg)
        return Branch(i.operands[0].name, guard, wanted) if i.name == "bra" else Return(None, guard, wanted)
    if i.name == "brx":
        i.only("idx", "uni")
        return Table(machine.register(i, i.operands[0]), i.operands[1].name)
    if i.name in ("bar", "barrier"):
        if "warp" in i.flags:
            return warp_wide(i, machine, lambda active: None, i.operands[0])
        if i.only("sync", "cta", "aligned")[-1] not in ("sync", "aligned") or len(i.operands) != 1 or i.guard:
            i.refuse("form")
        return Barrier()
    if i.name in WARP_WIDE:
        bare = Instruction(i.line, i.name, i.types, i.flags, i.operands)
        return warp_wide(i, machine, build(bare, machine), WARP_WIDE[i.name](i))
    return None


def warp_wide(i, machine, run, mask):
    get = machine.source(i, mask, "b32")
    guard = None
    if i.guard:
        array, wanted = machine.register(i, i.guard), isinstance(i.guard, Reg)
        guard = lambda: array if wanted else ~array
    whole = machine.threads % WARP == 0 and guard is None and np.ndim(get()) == 0 and int(get()) == 0xFFFFFFFF
    return WarpWide(run, get, guard, whole)


class Block:
    def __init__(self, runs, machine):
        self.runs, self.machine = runs, machine

    def execute(self):
        threads = self.machine.threads
        self.at = np.zeros(threads, np.int64)  # the run each thread is at; FAR: it has returned
        self.waiting = np.zeros(threads, bool)
        for _ in range(STEPS):
            if not self.step():
                return
        raise PtxError(f"more than {STEPS} steps; threads stand at {self.lines()}")

    def step(self):
        """Lets the threads at the lowest place go on until they part or meet others. False: all are done."""
        ready = np.where(self.waiting, FAR, self.at)
        here = int(ready.min())
        if here == FAR:
            return self.release()
        group = self.at == here
        self.waiting &= ~group
        others = ready[~group]
        limit = int(others.min()) if len(others) else FAR
        if self.waiting.any():
            limit = 0  # these may be met anywhere: look after every run
        active = True if group.all() else group
        while True:
            run = self.runs[here]
            for operation in run.operations:
                operation(active)
            here = self.after(run.end, here, active, group)
            if here is None:
                return True
            if here >= limit:
                self.at[group] = here
                return True

    def after(self, end, here, active, group):
        """Where the whole group goes next; None where it parts, waits or returns: self.at says where to."""
        if end is None:
            return here + 1
        if isinstance(end, WarpWide):
            return self.meet(end, here, active, group)
        if isinstance(end, Barrier):
            if active is True:
                return here + 1
            self.at[group] = here
            self.waiting |= group
            return None
        if isinstance(end, Table):
            return self.jump(end, here, group)
        yes, no = end.targets(active)
        target = FAR if isinstance(end, Return) else end.target
        if no is None and target != FAR:
            return target
        if yes is None:
            return here + 1
        self.at[group if yes is True else yes] = target
        if no is not None:
            self.at[no] = here + 1
        return None

    def jump(self, end, here, group):
        index = end.index[group]
        if (index >= len(end.targets)).any():
            raise PtxError(f"line {self.runs[here].instruction.line}: brx.idx beyond its table")
        self.at[group] = end.targets[index]

    def meet(self, end, here, active, group):
        if end.always_whole and active is True:
            end.run(True)
            return here + 1
        line = self.runs[here].instruction.line
        wants = group & end.guard() if end.guard else group
        mask = np.broadcast_to(end.mask(), group.shape)
        lane = self.machine.lane
        if (wants & ((mask >> lane) & np.uint32(1) == 0)).any():
            raise PtxError(f"line {line}: a mask that omits the caller")
        present, gone = self.by_warp(wants), self.by_warp(self.at == FAR, missing=True)
        if (wants & (mask & gone != 0)).any():
            raise PtxError(f"line {line}: a mask that names a lane which has returned or is not there")
        met = wants & (mask & ~present == 0)
        if met.any():
            end.run(True if met.all() else met)
        on = met | (group & ~wants)
        if on.all() or (on == group).all():
            return here + 1
        self.at[group] = here
        self.at[on] = here + 1
        self.waiting |= group & ~on
        return None

    def by_warp(self, which, missing=False):
        """For each thread the bits of those lanes of its warp."""
        flat = np.full(warps_of(len(which)) * WARP, missing)
        flat[: len(which)] = which
        bits = (flat.reshape(-1, WARP).astype(np.uint64) << np.arange(WARP, dtype=np.uint64)).sum(axis=1)
        return np.repeat(bits.astype(np.uint32), WARP)[: len(which)]

    def release(self):
        """Nobody can go on: all have returned, or the others wait at one barrier; else it is a deadlock."""
        live = self.at != FAR
        if not live.any():
            return False
        places = np.unique(self.at[live])
        if len(places) > 1 or not isinstance(self.runs[places[0]].end, Barrier):
            raise PtxError(f"a deadlock: threads wait at {self.lines()}")
        self.at[live] += 1
        self.waiting[:] = False
        return True

    def lines(self):
        places = [int(p) for p in np.unique(self.at[self.at != FAR])]
        known = [(self.runs[p].instruction, int((self.at == p).sum())) for p in places]
        return ", ".join(f"line {i.line} ({i.text}; {count})" for i, count in known if i)
