"""The function that runs a program's records on some samples, tile after tile.

It is the same for every program.  The differences are in the call, 64-bit whole numbers with
addresses, places and counts.  The gradients of fixed chunks of samples are added in order.
"""

from collections.abc import Callable
from typing import Any

from autograd.compiled.encoded import DOUBTFUL, FAILED, PASSED
from autograd.compiled.margins import HUGE
from autograd.compiled.native.ir import ENTRY, INT, POINTER, Function, Term, Whole
from autograd.compiled.native.lookups import Lookup, transposed_sums
from autograd.compiled.native.reals import DOUBLE

FIELDS = (
    # The thread's numbers, and the program's tables and records (the start and end of each list).
    "memory", "tables", "begin", "begin_end", "clear", "clear_end", "forward", "forward_end",
    "peaks", "peaks_end", "bounds", "bounds_end", "backward", "backward_end",
    # Places: of lanes, adjoints, the partial sums of shared numbers' adjoints, with their count.
    "lanes", "adjoints", "sums", "sums_count", "notes", "copies", "copied", "copied_count",
    # For bounds: the number of roundings; the offsets to magnitudes, bounds and originals, and
    # where the numbers with originals end, and whether those of parameters are read; the places
    # that tell whether bounds are needed, whether they were in any tile, and what is in doubt.
    "roundings", "size_of", "bound_of", "originals", "sources", "compared", "unsure", "exceeded",
    "doubt",
    # Tables: guards by order, with the count of each order; outputs, with their adjoints' places.
    "guards", "less", "less_equal", "greater", "greater_equal", "equal", "outputs", "outputs_count",
    "width", "chunk",
    # Fields of one call.
    "numbers", "where", "where_count", "x", "samples", "seeds", "out", "status", "back",
    "gradients", "differentiate",
)  # fmt: skip
ORDERS = {"less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge",
          "equal": "oeq"}  # fmt: skip


class _Sweep(Lookup):
    """Writes the function; its methods are the steps."""

    def __init__(self, f: Function, tile: int) -> None:
        super().__init__(f, tile)
        call = f.pointers["call"]
        self.call = {name: f.word(call, k) for k, name in enumerate(FIELDS)}
        f.pointers |= {name: self._address(name) for name in ("memory", "tables")}
        self.partial = f.vector if tile > 1 else 1  # sums of each shared number's adjoint
        self.nothing = f.number(0.0, 1)
        self.rounds = f.real is not DOUBLE  # whether numbers from outside are rounded

    def _address(self, name: str) -> Term:
        return self.call[name].cast("inttoptr", POINTER)

    def write(self) -> None:
        """Write all of it."""
        f, call = self.f, self.call
        self._parameters()
        f.store(self.nothing, f.at(call["exceeded"]))
        self._run("begin")
        differentiate = call["differentiate"].compare("ne", 0)

        def chunk(i: Whole, totals: list[Term]) -> list[Term]:
            start = i * call["chunk"]
            left = call["samples"] - start
            count = left.compare("slt", call["chunk"]).select(left, call["chunk"])
            if self.tile > 1:
                f.only_if(differentiate, self._clear_sums)

            def tile(j: Whole, totals: list[Term]) -> list[Term]:
                here = j * self.tile
                rest = count - here
                most = rest.compare("slt", self.tile).select(rest, self.tile)
                return [self._tile(start + here, most, totals[0], differentiate)]

            (total,) = f.loop((count + (self.tile - 1)) // self.tile, tile, totals)
            return [f.when(differentiate, lambda: self._gradients(start, total), total)]

        chunks = (call["samples"] + call["chunk"] - 1) // call["chunk"]
        (total,) = f.loop(chunks, chunk, [f.number(0.0, 1, DOUBLE)])
        flags = [total.compare("ord", total), f.load(f.at(call["exceeded"]), 1).compare("ugt", 0.0)]
        good, exceeded = (flag.cast("zext", INT) for flag in flags)
        f.result = good + exceeded * 2

    def _clear_sums(self) -> None:
        f, call = self.f, self.call
        f.declared["memset"] = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
        size = call["sums_count"] * f.real.size
        f.do(f"call void @llvm.memset.p0.i64(ptr {f.at(call['sums'])}, i8 0, i64 {size}, i1 false)")

    def _where(self, r: Whole) -> list[Term]:
        """A run of parameters: its place in memory, its index outside, and its length."""
        return [self.f.word(self._address("where"), r * 3 + k) for k in range(3)]

    def _parameters(self) -> None:
        """Copy the parameters to their places, and make the copies that lookups read."""
        f, call = self.f, self.call
        numbers, copied = self._address("numbers"), f.table(call["copied"])
        f.declared["memcpy"] = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"

        def run(r: Whole) -> None:
            place, source, count = self._where(r)
            size, start = count * DOUBLE.size, f.pointer(numbers, source, DOUBLE.name)

            def moved(to: Term) -> None:
                f.do(
                    f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {start}, i64 {size}, i1 false)"
                )

            if self.rounds:
                self._rounded(start, place, count)
                compared = call["compared"].compare("ne", 0)
                f.only_if(compared, lambda: moved(self._original(place)))
            else:
                moved(f.at(place))

        def copy(i: Whole, start: Whole) -> None:
            source, to = f.entry(copied, i), call["copies"] + i * self.tile + start
            self.store(f.spread(f.load(f.at(source), 1), self.width), to)
            if self.rounds:
                original = f.double(self._original(source), count=1)
                f.store_double(f.spread(original, self.width), self._original(to))

        f.each(call["where_count"], run)
        if self.tile > 1:
            self.lanes(call["copied_count"], copy)

    def _original(self, place: Whole) -> Term:
        """The address of what a number was before it was rounded."""
        offset = self.call["originals"]
        return self.f.pointer(self.f.pointers["memory"], place + offset, DOUBLE.name)

    def _rounded(self, start: Term, to: Whole, count: Term) -> None:
        """Copy doubles to places in memory."""
        f = self.f

        def some(i: Whole, width: int) -> None:
            f.store(f.double(start, i, width).to(f.real), f.at(to + i))

        whole = count // f.vector
        f.each(whole, lambda i: some(i * f.vector, f.vector))
        done = whole * f.vector
        f.each(count - done, lambda i: some(done + i, 1))

    def _tile(self, start: Whole, count: Term, total: Term, differentiate: Term) -> Term:
        """Run one tile: forward, guards, outputs, and backward if wanted."""
        f, call = self.f, self.call
        self._inputs(start, count)
        self._run("forward")
        self._run("peaks")
        unsure = f.load(f.at(call["unsure"]), 1).compare("ugt", 0.0)
        f.only_if(unsure, lambda: self._run("bounds"))
        noted = f.at(call["exceeded"])
        f.store(unsure.select(f.number(1.0, 1), f.load(noted, 1)), noted)
        self.lanes(1, lambda _, start: self._guards(start, unsure))
        total = self._outputs(start, count, total)

        def back() -> Term:
            self._run("clear")
            self._seeds(count)
            self._run("backward")
            wanted = call["back"].compare("ne", 0)
            return f.when(wanted, lambda: self._slopes(start, count, total), total)

        return f.when(differentiate, back, total)

    def _run(self, name: str) -> None:
        """Call the kernel of each record, in order."""
        f = self.f
        first, end = self._address(name), self._address(f"{name}_end")
        k, before = f.fresh(), f.block
        record = Term(f, POINTER, f"%record{k}")
        f.do(f"br label %check{k}")
        f.label(f"check{k}")
        at = len(f.lines)
        f.do(f"%done{k} = icmp eq ptr {record}, {end}")
        f.do(f"br i1 %done{k}, label %ran{k}, label %call{k}")
        f.label(f"call{k}")
        kernel = f.word(record, 0).cast("inttoptr", POINTER)
        words = f.word(record, 1)
        memory, tables = f.pointers["memory"], f.pointers["tables"]
        f.do(f"call void {kernel}(ptr {record}, ptr {memory}, ptr {tables})")
        following = f.pointer(record, words, INT)
        f.do(f"br label %check{k}")
        f.lines.insert(at, f"  {record} = phi ptr [{first}, %{before}], [{following}, %call{k}]")
        f.label(f"ran{k}")

    def _inputs(self, start: Whole, count: Term) -> None:
        """Copy the samples' numbers to lanes; a tile that is not full repeats its last sample."""
        f, call = self.f, self.call
        last = count - 1

        def sample(b: Any) -> None:
            row = f.spread(b, 1)
            row = row.compare("slt", last).select(row, last) if self.tile > 1 else row
            line = f.pointer(self._address("x"), (start + row) * call["width"], DOUBLE.name)

            def number(i: Whole) -> None:
                place = call["lanes"] + i * self.tile + b
                x = f.double(line, i, 1)
                f.store(x.to(f.real), f.at(place))
                if self.rounds:
                    f.store_double(x, self._original(place))

            f.each(call["width"], number)

        f.each(self.tile, sample)

    def _each_guard(
        self, start: Whole, state: list[Term], body: Callable[..., list[Term]]
    ) -> list[Term]:
        """The state after body(order, x, y, row of the table, state) for each guard."""
        f = self.f
        table = f.table(self.call["guards"])
        for name, order in ORDERS.items():

            def guard(i: Whole, state: list[Term], table: Term = table, order: str = order) -> Any:
                row = [f.spread(f.entry(table, i * 4 + k), 1) for k in range(4)]
                x, y = (self._exact(place, start, self.width) for place in row[:2])
                return body(order, x, y, row, state)

            state = f.loop(self.call[name], guard, state)
            table = f.pointer(table, self.call[name] * 4, ENTRY)
        return state

    def _exact(self, place: Whole, start: Whole, width: int) -> Term:
        """The numbers at a place as doubles: the originals, if there are any."""
        f = self.f
        x = f.load(f.at(place + start), width).to(DOUBLE)
        if not self.rounds:
            return x
        known = f.spread(place, 1).compare("ult", self.call["sources"])
        return f.when(known, lambda: f.double(self._original(place), start, width), x)

    def _margin(self, place: Term, start: Whole) -> Term:
        """How far the numbers at a place may be off; originals are exact."""
        f, call, memory = self.f, self.call, self.f.pointers["memory"]
        first, apart = place + start + call["size_of"], call["bound_of"] - call["size_of"]
        size, bound = (f.double(memory, at, self.width) for at in (first, first + apart))
        unit = call["roundings"].cast("sitofp", DOUBLE.name) * f.real.precision.unit
        margin = bound - f.spread(unit, self.width) * size
        if not self.rounds:
            return margin
        known = place.compare("ult", call["sources"])
        return known.select(f.number(0.0, self.width, DOUBLE), margin)

    def _guards(self, start: Whole, unsure: Term) -> None:
        """Note the status of each sample: doubtful if rounding could change a decision."""
        f, call = self.f, self.call
        none, width = f.first(0, self.width), self.width

        def guard(order: str, x: Term, y: Term, row: list[Term], state: list[Term]) -> list[Term]:
            may = f.spread(row[3].compare("ne", 0) & unsure, width)
            margin = self._margin(row[0], start) + self._margin(row[1], start)
            close = abs(x - y).compare("ule", margin) | margin.compare("uge", HUGE)
            close = close & margin.compare("une", 0.0) & may
            wrong = x.compare(order, y) ^ f.spread(row[2].compare("ne", 0), width)
            return [state[0] | wrong.replaced(close, none), state[1] | close]

        failed, close = self._each_guard(start, [none, none], guard)
        passed, doubtful = float(PASSED), float(DOUBTFUL)
        status = close.select(self.number(doubtful), passed).replaced(failed, float(FAILED))
        doubts = f.double(f.pointers["memory"], call["doubt"] + start, width)
        doubted = doubts.compare("ugt", 0.0) & f.spread(unsure, width)
        self.store(status.replaced(doubted, doubtful), call["notes"] + start)

    def _outputs(self, start: Whole, count: Term, total: Term) -> Term:
        """Copy status and outputs; a sample that has not passed, inf or nan makes the total nan."""
        f, call = self.f, self.call
        out, noted, table = self._address("out"), self._address("status"), f.table(call["outputs"])

        def sample(b: Whole, totals: list[Term]) -> list[Term]:
            status = f.load(f.at(call["notes"] + b), 1)
            row = start + b
            whole = status.cast("fptosi", INT)
            f.do(f"store {INT} {whole}, ptr {f.pointer(noted, row, INT)}, align 8")
            lost = totals[0].replaced(status.compare("one", float(PASSED)), float("nan"))
            line = f.pointer(out, row * call["outputs_count"], DOUBLE.name)

            def output(j: Whole, totals: list[Term]) -> list[Term]:
                # This also works for a shared number, which has a copy for each sample.
                z = self._exact(f.entry(table, j * 2), b, 1)
                f.store_double(z, line, j)
                return [z.times_plus(0.0, totals[0])]

            return f.loop(call["outputs_count"], output, [lost])

        return f.loop(count, sample, [total])[0]

    def _seeds(self, count: Term) -> None:
        """Add the seeds to the outputs' adjoints, for samples that passed their guards."""
        f, call = self.f, self.call
        seeds, table = self._address("seeds"), f.table(call["outputs"])

        def output(j: Whole, start: Whole) -> None:
            place, to = (f.entry(table, j * 2 + k) for k in range(2))
            z, status = self.load(place + start), self.load(call["notes"] + start)
            good = status.compare("oeq", float(PASSED))
            if self.width > 1:
                good = good & f.first(count - start, self.width)
            seed = f.spread(f.double(seeds, j, 1).to(f.real), self.width)
            seed = seed.replaced(z.compare("uno", z), float("nan"))
            self.increase(good.select(seed, 0.0), to + start)

        self.lanes(call["outputs_count"], output)

    def _slopes(self, start: Whole, count: Term, total: Term) -> Term:
        """Copy the adjoints of the inputs."""
        f, call = self.f, self.call

        def sample(b: Whole, totals: list[Term]) -> list[Term]:
            line = f.pointer(self._address("back"), (start + b) * call["width"], DOUBLE.name)

            def number(i: Whole, totals: list[Term]) -> list[Term]:
                g = f.load(f.at(call["adjoints"] + i * self.tile + b), 1).to(DOUBLE)
                f.store_double(g, line, i)
                return [g.times_plus(0.0, totals[0])]

            return f.loop(call["width"], number, totals)

        return f.loop(count, sample, [total])[0]

    def _gradients(self, start: Term, total: Term) -> Term:
        """Write the parameters' adjoints to the gradients; those of later chunks are added."""
        f, gradients, vector = self.f, self._address("gradients"), self.f.vector
        first = start.compare("eq", 0)

        def run(r: Whole, totals: list[Term]) -> list[Term]:
            source, to, count = self._where(r)

            def put(i: Whole, width: int, total: Term) -> Term:
                slopes = self._summed(self.call["sums"] + (source + i) * self.partial, width)
                slopes, at = slopes.to(DOUBLE), to + i
                if self.tile > 1:
                    slopes = first.select(slopes, f.double(gradients, at, width) + slopes)
                f.store_double(slopes, gradients, at)
                return slopes.times_plus(0.0, total)

            def several(i: Whole, totals: list[Term]) -> list[Term]:
                places = (i * (4 * vector) + k * vector for k in range(4))
                return [put(at, vector, one) for at, one in zip(places, totals, strict=True)]

            whole = count // (4 * vector)  # four independent sums, so that none waits for another
            a, b, c, d = f.loop(whole, several, [f.number(0.0, vector, DOUBLE)] * 4)
            total = totals[0] + ((a + b) + (c + d)).total()
            done = whole * (4 * vector)
            return f.loop(count - done, lambda i, state: [put(done + i, 1, state[0])], [total])

        return f.loop(self.call["where_count"], run, [total])[0]

    def _summed(self, place: Whole, count: int) -> Term:
        """The adjoints of `count` shared numbers, from their partial sums."""
        f = self.f
        if self.tile == 1:
            return f.load(f.at(place), count)
        lines = [f.load(f.at(place + k * f.vector)) for k in range(count)]
        return transposed_sums(lines) if count > 1 else lines[0].total()


def sweep(f: Function, tile: int) -> None:
    """Write the function for tiles of `tile` samples.

    It returns 1 if all samples passed and all results are finite, else 0; plus 2 if bounds were
    needed.
    """
    _Sweep(f, tile).write()
