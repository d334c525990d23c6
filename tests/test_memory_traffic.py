"""Traffic with main memory, counted in the text of a program for a chip that has a memory of its own."""

from benchmarks import hlo
from benchmarks.memory_traffic import main_memory_bytes

PROGRAM = """HloModule step

%scaled (p0: f32[4,8], p1: s32[]) -> f32[1,8] {
  %p1 = s32[] parameter(1)
  %p0 = f32[4,8]{1,0:T(8,128)} parameter(0)
  ROOT %row = f32[1,8]{1,0:T(8,128)} dynamic-slice(%p0, %p1, %p1), dynamic_slice_sizes={1,8}
}

%stored (stack: f32[4,8], row: f32[1,8], at: s32[]) -> f32[4,8] {
  %stack = f32[4,8]{1,0:T(8,128)} parameter(0)
  %row.1 = f32[1,8]{1,0:T(8,128)} parameter(1)
  %at = s32[] parameter(2)
  ROOT %updated = f32[4,8]{1,0:T(8,128)} dynamic-update-slice(%stack, %row.1, %at, %at)
}

%outer (q0: f32[4,8], q1: s32[]) -> f32[1,8] {
  %q0 = f32[4,8]{1,0:T(8,128)} parameter(0)
  %q1 = s32[] parameter(1)
  %inner = f32[1,8]{1,0:T(8,128)} fusion(%q0, %q1), kind=kLoop, calls=%scaled
  ROOT %negated = f32[1,8]{1,0:T(8,128)} negate(%inner)
}

%body (state: (s32[], f32[4,8], f32[4,8])) -> (s32[], f32[4,8], f32[4,8]) {
  %state = (s32[], f32[4,8]{1,0:T(8,128)}, f32[4,8]{1,0:T(8,128)}) parameter(0)
  %i = s32[]{:S(2)} get-tuple-element(%state), index=0
  %read = f32[4,8]{1,0:T(8,128)} get-tuple-element(%state), index=1
  %written = f32[4,8]{1,0:T(8,128)} get-tuple-element(%state), index=2
  %taken = f32[1,8]{1,0:T(8,128)S(1)} fusion(%read, %i), kind=kLoop, calls=%outer, metadata={op_name="f(x)"}
  %on_chip = f32[1,8]{1,0:T(8,128)S(1)} multiply(%taken, %taken)
  %put = f32[4,8]{1,0:T(8,128)} fusion(%written, %on_chip, %i), kind=kLoop, calls=%stored
  ROOT %next = (s32[], f32[4,8]{1,0:T(8,128)}, f32[4,8]{1,0:T(8,128)}) tuple(%i, %read, %put)
}

%more (state.1: (s32[], f32[4,8], f32[4,8])) -> pred[] {
  %state.1 = (s32[], f32[4,8]{1,0:T(8,128)}, f32[4,8]{1,0:T(8,128)}) parameter(0)
  %i.1 = s32[]{:S(2)} get-tuple-element(%state.1), index=0
  %trips = s32[]{:S(2)} constant(4)
  ROOT %less = pred[]{:S(2)} compare(%i.1, %trips), direction=LT
}

ENTRY %main (x: f32[4,8]) -> f32[4,8] {
  %x = f32[4,8]{1,0:T(8,128)} parameter(0)
  %zero = s32[]{:S(2)} constant(0)
  %space = f32[4,8]{1,0:T(8,128)} custom-call(), custom_call_target="AllocateBuffer"
  %ahead = (f32[4,8]{1,0:T(8,128)S(1)}, f32[4,8]{1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%x)
  %there = f32[4,8]{1,0:T(8,128)S(1)} copy-done(%ahead)
  %part = ((f32[4,8]{1,0:T(8,128)}), f32[2,8]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) slice-start(%x)
  %half = f32[2,8]{1,0:T(8,128)S(1)} slice-done(%part)
  %first = (s32[], f32[4,8]{1,0:T(8,128)}, f32[4,8]{1,0:T(8,128)}) tuple(%zero, %x, %space)
  %loop = (s32[], f32[4,8]{1,0:T(8,128)}, f32[4,8]{1,0:T(8,128)}) while(%first), condition=%more, body=%body
  %stack.1 = f32[4,8]{1,0:T(8,128)} get-tuple-element(%loop), index=2
  ROOT %sum = f32[4,8]{1,0:T(8,128)} add(%stack.1, %there)
}
"""

ROW, STACK = 4 * 8, 4 * 8 * 4
READ_AHEAD = STACK + STACK // 2  # the copy and the slice, on whose other side is the on-chip memory


def test_only_main_memory_counts_and_of_a_stack_what_is_sliced_or_updated():
    in_loop = 4 * (ROW + ROW)  # a row of the stack that is read, and of the one that is written
    assert main_memory_bytes(hlo.parse(PROGRAM)) == in_loop + READ_AHEAD + 2 * STACK


def test_without_another_memory_everything_counts():
    everything = PROGRAM.replace("S(1)", "").replace("{:S(2)}", "{}")
    in_loop = 4 * ((ROW + ROW) + 3 * ROW + (ROW + ROW))  # slice, product, update
    scalars = main_memory_bytes(hlo.parse(everything)) - (in_loop + 2 * READ_AHEAD + 3 * STACK)
    assert 0 <= scalars <= 4 * 12 + 5 * 9  # the loop's index and condition
