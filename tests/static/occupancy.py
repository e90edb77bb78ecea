"""How many blocks of a kernel one multiprocessor holds: the arithmetic of NVIDIA's cuda_occupancy.h."""

from dataclasses import dataclass

WARP = 32
SUB_PARTITIONS = 4
REGISTERS_STEP = 256  # registers are handed to warps in units of this many
SHARED_STEP = 128


@dataclass(frozen=True)
class Device:
    """What one multiprocessor has; sizes in bytes."""

    threads: int
    blocks: int
    registers: int
    shared: int
    shared_of_block: int  # the most that one block may ask for, its share of the driver not counted
    shared_reserved: int  # taken by the driver from every block


DEVICES = {
    "sm_80": Device(2048, 32, 65536, 167936, 166912, 1024),
    "sm_90a": Device(2048, 32, 65536, 233472, 232448, 1024),
}


def round_up(n, step):
    return -(-n // step) * step


def blocks_per_sm(device, registers, shared, block):
    """Blocks that run at once; `registers` of a thread, `shared` of a block (static and dynamic together)."""
    warps = -(-block // WARP)
    if block > 1024 or shared > device.shared_of_block or registers > 255:
        return 0
    registers_of_warp = round_up(registers * WARP, REGISTERS_STEP)
    if registers_of_warp * round_up(warps, SUB_PARTITIONS) > device.registers:
        return 0
    by_registers = device.registers // SUB_PARTITIONS // registers_of_warp * SUB_PARTITIONS // warps
    by_shared = device.shared // round_up(shared + device.shared_reserved, SHARED_STEP)
    return min(device.threads // WARP // warps, device.blocks, by_registers, by_shared)
