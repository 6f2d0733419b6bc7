/* The nodes of graphs and the chain rule along them, as `Value` in value.py has them in Python.

   This file knows no operation.  A row of the table comes as a Program: instructions for the small
   stack machine below, which `printers/machine.py` writes from the row's texts.

   One rule runs through it: what is not simple is left to Python.  A Method whose operands are not
   nodes and numbers, a mode that is not a plain one, a pass over a graph with hooks: C changes
   nothing, says so, and the Python code that was there before does it.  So no Python code runs in
   the middle of a pass in C, and Ctrl-C comes before it or after.

   `native.py` puts this in its place. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <structmember.h>

/* a * b + c is rounded twice, as in Python. */
#ifdef _MSC_VER
#pragma fp_contract(off)
#endif

#ifndef SOURCE
#define SOURCE 0 /* the checksum of this file */
#endif

/* 80 bytes, and 16 before them for the collector.  What a walk reads comes first. */
typedef struct Node {
    PyObject_HEAD
    union {
        double number;
        PyObject *object;  /* the adjoints of a node that stands for many: BOXED */
        struct Node *next; /* of a node that is dying, or freed */
    } grad;
    uint32_t entry;        /* of its row in `entries`; 0 if C cannot pull it back */
    uint32_t flags;
    struct Node *a, *b;    /* the parents; of another class if STRANGE */
    double data;
    double x, y;           /* the operands in the forward pass */
    PyObject *row;
} Node;

enum {
    HAS_X = 1,
    HAS_Y = 2,
    TOUCHED = 4,   /* a pass has reached it */
    BOXED = 8,     /* its gradient is an object */
    PYTHON = 16,   /* a pass over it needs Python: it has hooks, or an operation of its own kind */
    ANCHOR = 32,   /* it may refer to later nodes, so it may be part of a cycle */
    TRACKED = 64,  /* the collector sees it */
    STRANGE = 128, /* a parent is not a Value */
    SEEN = 256,    /* by the present walk */
    PLACE = 512    /* flags / PLACE is the node's place in its slab */
};

/* What native.py hands over. */
static PyTypeObject *Value;
static PyTypeObject *mode_type, *note_type;
static PyObject *untouched, *leaf_row, *mode_variable, *call_variable, *pure_init, *exact_hypot;
static PyObject *adopt_function;

static PyTypeObject *program_type, *method_type, *steps_type;

static int is_value(PyObject *object) {
    return Py_TYPE(object) == Value || PyType_IsSubtype(Py_TYPE(object), Value);
}

/* ------------------------------------------------------------------ the stack machine */

enum {
    RETURN, CONSTANT, X, Y, Z, PART, STORE, ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, NEGATE,
    UNLESS_LESS, UNLESS_GREATER, JUMP, CALL, CALL_TWO, INSTRUCTIONS
};
static const char *const instruction_names[] = {
    "return", "constant", "x", "y", "z", "part", "store", "add", "subtract", "multiply", "divide",
    "power", "negate", "unless_less", "unless_greater", "jump", "call", "call_two"
};

/* CPython has a hypot of its own, whose last bit differs from libm's.  It runs no Python code, and
   it raises nothing but MemoryError. */
static double python_hypot(double x, double y) {
    PyObject *operands[] = {PyFloat_FromDouble(x), PyFloat_FromDouble(y)}, *result = NULL;
    if (operands[0] && operands[1]) result = PyObject_Vectorcall(exact_hypot, operands, 2, NULL);
    Py_XDECREF(operands[0]);
    Py_XDECREF(operands[1]);
    double z = result ? PyFloat_AS_DOUBLE(result) : hypot(x, y);
    if (!result) PyErr_Clear();
    Py_XDECREF(result);
    return z;
}

/* The functions of libm that Python's `math` passes on bit for bit.  A row that calls any other
   function stays in Python. */
static const struct { const char *name; double (*run)(double); } functions[] = {
    {"sqrt", sqrt}, {"exp", exp}, {"expm1", expm1}, {"log", log}, {"log1p", log1p}, {"log2", log2},
    {"log10", log10}, {"sin", sin}, {"cos", cos}, {"tan", tan}, {"asin", asin}, {"acos", acos},
    {"atan", atan}, {"sinh", sinh}, {"cosh", cosh}, {"tanh", tanh}, {"asinh", asinh},
    {"acosh", acosh}, {"atanh", atanh}, {"erf", erf}, {"erfc", erfc}, {"fabs", fabs}
};
static const struct { const char *name; double (*run)(double, double); } functions_of_two[] = {
    {"atan2", atan2}, {"fmod", fmod}, {"hypot", python_hypot}
};
#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

enum { STACK = 48, PARTS = 16 };

typedef struct {
    uint16_t *words;
    Py_ssize_t length;
    double *constants;
    Py_ssize_t count;
} Code;

static double run(const Code *code, double x, double y, double z) {
    double stack[STACK], parts[PARTS], *top = stack;
    const uint16_t *at = code->words;
    for (;;) {
        switch (*at++) {
        case RETURN: return top[-1];
        case CONSTANT: *top++ = code->constants[*at++]; break;
        case X: *top++ = x; break;
        case Y: *top++ = y; break;
        case Z: *top++ = z; break;
        case PART: *top++ = parts[*at++]; break;
        case STORE: parts[*at++] = *--top; break;
        case ADD: top--; top[-1] += *top; break;
        case SUBTRACT: top--; top[-1] -= *top; break;
        case MULTIPLY: top--; top[-1] *= *top; break;
        case DIVIDE: top--; top[-1] /= *top; break;
        case POWER: top--; top[-1] = pow(top[-1], *top); break;
        case NEGATE: top[-1] = -top[-1]; break;
        case UNLESS_LESS: top -= 2; at = top[0] < top[1] ? at + 1 : code->words + *at; break;
        case UNLESS_GREATER: top -= 2; at = top[0] > top[1] ? at + 1 : code->words + *at; break;
        case JUMP: at = code->words + *at; break;
        case CALL: top[-1] = functions[*at++].run(top[-1]); break;
        case CALL_TWO: top--; top[-1] = functions_of_two[*at++].run(top[-1], *top); break;
        }
    }
}

/* How an instruction uses the stack, and what its argument is checked against. */
static const struct { int takes, gives, arguments; } effects[INSTRUCTIONS] = {
    [RETURN] = {1, 0, 0}, [CONSTANT] = {0, 1, 1}, [X] = {0, 1, 0}, [Y] = {0, 1, 0}, [Z] = {0, 1, 0},
    [PART] = {0, 1, 1}, [STORE] = {1, 0, 1}, [ADD] = {2, 1, 0}, [SUBTRACT] = {2, 1, 0},
    [MULTIPLY] = {2, 1, 0}, [DIVIDE] = {2, 1, 0}, [POWER] = {2, 1, 0}, [NEGATE] = {1, 1, 0},
    [UNLESS_LESS] = {2, 0, 1}, [UNLESS_GREATER] = {2, 0, 1}, [JUMP] = {0, 0, 1},
    [CALL] = {1, 1, 1}, [CALL_TWO] = {2, 1, 1}
};

/* Whether an argument is in bounds; parts are stored in order, before they are read. */
static int is_right(const Code *code, Py_ssize_t next, int instruction, int argument, int stored) {
    switch (instruction) {
    case CONSTANT: return argument < code->count;
    case PART: return argument < stored;
    case STORE: return argument == stored && stored < PARTS;
    case CALL: return argument < LENGTH(functions);
    case CALL_TWO: return argument < LENGTH(functions_of_two);
    default: return argument >= next && argument < code->length; /* a jump, and only forward */
    }
}

/* Whether the code ends, and stays inside its stack, its parts and its constants, on every path.
   As jumps go forward only, one look at each instruction decides. */
static int is_sound(const Code *code) {
    enum { UNKNOWN = -1 };
    int *depths = PyMem_Malloc((code->length + 1) * sizeof *depths); /* where a jump arrives */
    int depth = 0, stored = 0, sound = 0;
    Py_ssize_t joined = 0; /* from here on, all paths go the same way */
    if (!depths) return 0;
    for (Py_ssize_t i = 0; i <= code->length; i++) depths[i] = UNKNOWN;
    for (Py_ssize_t i = 0; i < code->length;) {
        if (depth == UNKNOWN) depth = depths[i];
        if (depth == UNKNOWN || (depths[i] != UNKNOWN && depths[i] != depth)) break;
        Py_ssize_t start = i;
        int instruction = code->words[i++];
        if (instruction >= INSTRUCTIONS || depth < effects[instruction].takes) break;
        depth += effects[instruction].gives - effects[instruction].takes;
        if (depth > STACK) break;
        if (instruction == RETURN) {
            sound = depth == 0 && i == code->length;
            break;
        }
        if (!effects[instruction].arguments) continue;
        if (i >= code->length || depths[i] != UNKNOWN) break; /* no jump ends at an argument */
        int argument = code->words[i++];
        if (!is_right(code, i, instruction, argument, stored)) break;
        if (instruction == STORE) {
            if (depth || start < joined) break; /* on every path */
            stored++;
        }
        if (instruction >= UNLESS_LESS && instruction <= JUMP) {
            /* The other branch may have brought another depth to the same place. */
            if (depths[argument] != UNKNOWN && depths[argument] != depth) break;
            depths[argument] = depth;
            if (argument > joined) joined = argument;
            if (instruction == JUMP) depth = UNKNOWN;
        }
    }
    PyMem_Free(depths);
    return sound;
}

/* ------------------------------------------------------------------ rows */

/* How a local derivative enters the pullback; the first ones are frequent and need no machine. */
typedef enum { NOTHING, IDENTITY, NEGATION, READS_X, READS_Y, READS_Z, COMPUTED } Kind;

/* A row as it was when it was installed: its value and its derivatives. */
typedef struct {
    PyObject_HEAD
    uint32_t entry;
    int arity;
    int has_default;
    double y;     /* the default */
    int operator; /* the one instruction that the value needs, if it is x + y or the like */
    Code value, slopes[2];
    Kind kinds[2];
} Program;

/* An operation that has had a program, and the program of its present pullback.  Nodes refer to
   entries by number, so an entry stays. */
typedef struct {
    PyObject *op;
    PyObject *pullback;
    Program *program; /* NULL: the pullback is a function that C does not know */
    uint64_t checked; /* the last pass that has compared the pullback */
} Entry;

static Entry *entries; /* [0] is not an operation */
static Py_ssize_t entry_count = 1, entry_room = 128;
static PyObject *entry_of; /* operation -> number */
static uint64_t passes;

static PyObject *name_pullback, *name_program, *name_op, *name_hooks, *name_holds_nodes;

static int copy_code(Code *code, PyObject *source) {
    const char *words, *constants;
    Py_ssize_t words_size, constants_size;
    if (!PyArg_ParseTuple(source, "y#y#", &words, &words_size, &constants, &constants_size))
        return -1;
    code->length = words_size / sizeof *code->words;
    code->count = constants_size / sizeof *code->constants;
    code->words = PyMem_Malloc(words_size + 1);
    code->constants = PyMem_Malloc(constants_size + 1);
    if (!code->words || !code->constants) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(code->words, words, words_size);
    memcpy(code->constants, constants, constants_size);
    if (is_sound(code)) return 0;
    PyErr_SetString(PyExc_ValueError, "not a program for the stack machine");
    return -1;
}

static Kind kind_of(const Code *code) {
    if (code->length == 3 && code->words[0] == CONSTANT) {
        double constant = code->constants[code->words[1]];
        if (constant == 1.0) return IDENTITY;
        if (constant == -1.0) return NEGATION;
    }
    if (code->length == 2 && code->words[0] >= X && code->words[0] <= Z)
        return READS_X + (code->words[0] - X);
    return COMPUTED;
}

/* The instruction of a rule that applies just one to its operands; 0 for any other rule. */
static int operator_of(const Code *code) {
    int is_one = code->length == 4 && code->words[0] == X && code->words[1] == Y;
    return is_one ? code->words[2] : 0;
}

static inline double value_of(const Program *program, double x, double y) {
    switch (program->operator) {
    case ADD: return x + y;
    case SUBTRACT: return x - y;
    case MULTIPLY: return x * y;
    case DIVIDE: return x / y;
    default: return run(&program->value, x, y, 0.0);
    }
}

/* The number of the operation's entry, which is created the first time; -1 on an error. */
static Py_ssize_t entry_for(PyObject *op) {
    PyObject *known = PyDict_GetItemWithError(entry_of, op);
    if (known) return PyLong_AsSsize_t(known);
    if (PyErr_Occurred()) return -1;
    if (entry_count == entry_room) {
        Py_ssize_t room = 2 * entry_room;
        Entry *larger = PyMem_Realloc(entries, room * sizeof *entries);
        if (!larger) {
            PyErr_NoMemory();
            return -1;
        }
        entries = larger;
        entry_room = room;
    }
    PyObject *number = PyLong_FromSsize_t(entry_count);
    if (!number || PyDict_SetItem(entry_of, op, number) < 0) {
        Py_XDECREF(number);
        return -1;
    }
    Py_DECREF(number);
    entries[entry_count] = (Entry){.op = Py_NewRef(op)};
    return entry_count++;
}

static void program_dealloc(PyObject *self) {
    Program *program = (Program *)self;
    PyTypeObject *type = Py_TYPE(self);
    Code *codes[] = {&program->value, &program->slopes[0], &program->slopes[1]};
    for (int i = 0; i < 3; i++) {
        PyMem_Free(codes[i]->words);
        PyMem_Free(codes[i]->constants);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* Program(op, default, value, slopes): each code is (words, constants); a slope that adds nothing
   is None. */
static PyObject *program_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named)) {
    PyObject *op, *y, *value, *slopes;
    if (!PyArg_ParseTuple(arguments, "OOO!O!", &op, &y, &PyTuple_Type, &value, &PyTuple_Type,
                          &slopes))
        return NULL;
    Program *program = (Program *)type->tp_alloc(type, 0);
    if (!program) return NULL;
    program->arity = (int)PyTuple_GET_SIZE(slopes);
    program->has_default = y != Py_None;
    if (program->has_default) program->y = PyFloat_AsDouble(y);
    if (PyErr_Occurred() || copy_code(&program->value, value) < 0) goto failed;
    program->operator = operator_of(&program->value);
    for (int i = 0; i < program->arity && i < 2; i++) {
        PyObject *slope = PyTuple_GET_ITEM(slopes, i);
        if (slope == Py_None) continue; /* NOTHING */
        if (copy_code(&program->slopes[i], slope) < 0) goto failed;
        program->kinds[i] = kind_of(&program->slopes[i]);
    }
    Py_ssize_t entry = entry_for(op);
    if (entry < 0) goto failed;
    program->entry = (uint32_t)entry;
    return (PyObject *)program;
failed:
    Py_DECREF(program);
    return NULL;
}

/* Looks whether the operation still has the pullback whose program is known.  Nothing that the
   collector counts is created here: it could start in the middle of a walk. */
static void compare_pullback(Entry *entry) {
    PyObject *pullback = PyObject_GetAttr(entry->op, name_pullback), *program = NULL;
    if (!pullback) PyErr_Clear();
    if (pullback != entry->pullback) { /* installed again, or a fault was planted */
        PyObject *dict = NULL;
        if (pullback && PyFunction_Check(pullback))
            dict = ((PyFunctionObject *)pullback)->func_dict;
        if (dict) program = PyDict_GetItemWithError(dict, name_program);
        if (program && Py_TYPE(program) != program_type) program = NULL;
        Py_XSETREF(entry->program, (Program *)Py_XNewRef(program));
        Py_XSETREF(entry->pullback, Py_XNewRef(pullback));
    }
    Py_XDECREF(pullback);
    entry->checked = passes;
}

/* The program of the operation's present pullback; NULL where the pullback is Python's alone. */
static inline const Program *present_program(uint32_t number) {
    Entry *entry = &entries[number];
    if (number && entry->checked != passes) compare_pullback(entry);
    return entry->program;
}

/* ------------------------------------------------------------------ memory */

/* Nodes are not tracked by the collector, which would walk a large graph again and again.  They do
   not need it: a graph has no cycles.  Only through its row can a node refer to a later one, as
   with a hook that closes over it, or through an attribute that a subclass has.  Such a node is an
   anchor.  When the collector is about to look
   at everything, `adopt` gives it the anchors' descendants to see. */

static Node *dying;
static int freeing;
static Py_ssize_t anchors;

/* Nodes stand side by side in slabs, in the order of their creation, because walks over a large
   graph wait for memory more than for anything else.  A slab that has lost all its nodes starts
   anew, in that order again. */

typedef struct {
    uintptr_t collector[2]; /* the words that Python's collector has before an object */
    Node node;
} Cell;

typedef struct Slab {
    struct Slab *next, *previous; /* among the slabs with room */
    Node *freed;
    uint32_t used, fresh; /* the nodes in it, and the cells that were used since it was empty */
    Cell cells[];
} Slab;

#ifdef __SANITIZE_ADDRESS__
enum { CELLS = 1, EMPTY_SLABS = 0 }; /* each node by itself, so that the sanitizer watches it */
#else
enum { CELLS = 2700, EMPTY_SLABS = 24 }; /* 256 kB each; 6 MB are kept for the next graph */
#endif
enum { SLAB = sizeof(Slab) + CELLS * sizeof(Cell) };
static Slab *roomy; /* the first slab with room, from which the next node comes */
static int empty_slabs;

static inline Cell *cell_of(Node *node) {
    return (Cell *)((char *)node - offsetof(Cell, node));
}

static void attach(Slab *slab) {
    slab->previous = NULL;
    slab->next = roomy;
    if (roomy) roomy->previous = slab;
    roomy = slab;
}

static void detach(const Slab *slab) {
    if (slab->next) slab->next->previous = slab->previous;
    if (slab->previous) slab->previous->next = slab->next;
    else roomy = slab->next;
}

static Slab *new_slab(void) {
    PyObjectArenaAllocator arenas; /* whose memory goes back to the system */
    PyObject_GetArenaAllocator(&arenas);
    Slab *slab = CELLS == 1 ? malloc(SLAB) : arenas.alloc(arenas.ctx, SLAB);
    if (!slab) return NULL;
    PyTraceMalloc_Track(0, (uintptr_t)slab, SLAB);
    slab->freed = NULL;
    slab->used = slab->fresh = 0;
    empty_slabs++;
    attach(slab);
    return slab;
}

static Node *new_node(void) {
    Slab *slab = roomy ? roomy : new_slab();
    if (!slab) return (Node *)PyErr_NoMemory();
    Cell *cell = &slab->cells[slab->fresh];
    if (slab->freed) {
        cell = cell_of(slab->freed);
        slab->freed = slab->freed->grad.next;
    } else {
        cell->node.flags = slab->fresh++ * PLACE;
    }
    if (!slab->used++) empty_slabs--;
    if (slab->used == CELLS) detach(slab);
    memset(cell->collector, 0, sizeof cell->collector);
    cell->node.flags &= ~(PLACE - 1u);
    return (Node *)PyObject_Init((PyObject *)&cell->node, Value);
}

static void free_node(Node *node) {
    Cell *first = cell_of(node) - node->flags / PLACE;
    Slab *slab = (Slab *)((char *)first - offsetof(Slab, cells));
    if (slab->used == CELLS) attach(slab);
    node->grad.next = slab->freed;
    slab->freed = node;
    if (--slab->used) return;
    slab->freed = NULL;
    slab->fresh = 0;
    if (++empty_slabs <= EMPTY_SLABS) return;
    empty_slabs--;
    detach(slab);
    PyTraceMalloc_Untrack(0, (uintptr_t)slab);
    PyObjectArenaAllocator arenas;
    PyObject_GetArenaAllocator(&arenas);
    if (CELLS == 1) free(slab);
    else arenas.free(arenas.ctx, slab, SLAB);
}

static PyObject *node_alloc(PyTypeObject *Py_UNUSED(type), Py_ssize_t Py_UNUSED(items)) {
    /* a subclass has an allocator of its own */
    Node *node = new_node();
    if (!node) return NULL;
    node->grad.number = node->data = node->x = node->y = 0.0;
    node->a = node->b = NULL;
    node->row = NULL;
    node->entry = 0;
    return (PyObject *)node;
}

static void track(Node *node) {
    if (node->flags & TRACKED) return;
    node->flags |= TRACKED;
    if (Py_TYPE(node) == Value) PyObject_GC_Track(node); /* Python tracks those of a subclass */
}

/* Frees a graph of any depth: a node without references waits for the loop's next turn. */
static void node_dealloc(PyObject *self) {
    Node *node = (Node *)self;
    if (node->flags & TRACKED || Py_TYPE(self) != Value) PyObject_GC_UnTrack(self);
    if (node->flags & ANCHOR) anchors--;
    if (node->flags & BOXED) Py_DECREF(node->grad.object);
    node->grad.next = dying;
    dying = node;
    if (freeing) return;
    freeing = 1;
    while ((node = dying)) {
        dying = node->grad.next;
        PyTypeObject *type = Py_TYPE(node);
        PyObject *a = (PyObject *)node->a, *b = (PyObject *)node->b, *row = node->row;
        if (type == Value) free_node(node);
        else type->tp_free(node);
        Py_XDECREF(a);
        Py_XDECREF(b);
        Py_XDECREF(row);
        Py_DECREF(type);
    }
    freeing = 0;
}

static int node_traverse(PyObject *self, visitproc visit, void *arg) {
    Node *node = (Node *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(node->a);
    Py_VISIT(node->b);
    Py_VISIT(node->row);
    if (node->flags & BOXED) Py_VISIT(node->grad.object);
    return 0;
}

static int node_clear(PyObject *self) {
    Node *node = (Node *)self;
    node->entry = 0;
    Py_CLEAR(node->a);
    Py_CLEAR(node->b);
    Py_CLEAR(node->row);
    return 0;
}

/* ------------------------------------------------------------------ operations */

/* The last plain mode: most operations follow others in the same mode.  Other modes may refer to
   whole graphs, and are not kept. */
static struct {
    PyObject *mode;
    PyObject *rows; /* the rows of its nodes; NULL if it does not record */
} last;

static int is_true(PyObject *mode, const char *name) {
    PyObject *flag = PyObject_GetAttrString(mode, name);
    int answer = flag ? PyObject_IsTrue(flag) : -1;
    Py_XDECREF(flag);
    return answer;
}

/* Puts a plain mode into `last`: 1 if it is one, 0 if Python records in it, -1 on an error. */
static int meet(PyObject *mode) {
    if (Py_TYPE(mode) != mode_type) return 0;
    int anomaly = is_true(mode, "anomaly"), records = is_true(mode, "recording");
    if (anomaly || records < 0) return anomaly < 0 || records < 0 ? -1 : 0;
    PyObject *rows = NULL;
    if (records && !(rows = PyObject_GetAttrString(mode, "rows"))) return -1;
    Py_XSETREF(last.mode, Py_NewRef(mode));
    Py_XSETREF(last.rows, rows);
    return 1;
}

static int set_row(PyObject *self, PyObject *row, void *Py_UNUSED(unused));

/* A leaf with the result of an operation that is not recorded. */
static PyObject *unrecorded(double z) {
    PyObject *call;
    if (PyContextVar_Get(call_variable, NULL, &call) < 0) return NULL;
    Node *node = (Node *)node_alloc(Value, 0);
    if (node) {
        node->data = z;
        if (set_row((PyObject *)node, call == Py_None ? leaf_row : call, NULL) < 0) Py_CLEAR(node);
    }
    Py_DECREF(call);
    return (PyObject *)node;
}

/* The node of an operation.  NULL without an error: Python has to record it. */
static PyObject *recorded(const Program *program, Node *a, Node *b, double x, double y) {
    PyObject *mode, *row = entries[program->entry].op;
    uint32_t entry = program->entry, flags = program->arity == 2 ? HAS_X | HAS_Y : HAS_X;
    if (PyContextVar_Get(mode_variable, NULL, &mode) < 0) return NULL;
    Py_DECREF(mode); /* the context keeps it */
    if (mode != Py_None) {
        if (mode != last.mode && meet(mode) < 1) return NULL;
        if (!last.rows) return unrecorded(value_of(program, x, y));
        row = PyDict_GetItemWithError(last.rows, row);
        if (!row) return NULL;
    }
    double z = value_of(program, x, y);
    Py_INCREF(row);
    Node *node = new_node();
    if (!node) {
        Py_DECREF(row);
        return NULL;
    }
    node->data = z;
    node->grad.number = 0.0;
    node->x = x;
    node->y = y;
    node->a = (Node *)Py_XNewRef(a);
    node->b = (Node *)Py_XNewRef(b);
    node->row = row;
    node->entry = entry;
    node->flags |= flags;
    return (PyObject *)node;
}

/* Whether it is a plain number that C can read; Python reads all others, and refuses some. */
static int reads_number(PyObject *operand, double *number) {
    if (PyFloat_CheckExact(operand)) {
        *number = PyFloat_AS_DOUBLE(operand);
        return 1;
    }
    if (!PyLong_CheckExact(operand)) return 0;
    *number = PyLong_AsDouble(operand);
    if (*number != -1.0 || !PyErr_Occurred()) return 1;
    PyErr_Clear(); /* too large for a float */
    return 0;
}

static PyObject *apply_to_one(const Program *program, PyObject *operand) {
    if (!is_value(operand)) return NULL;
    Node *a = (Node *)operand;
    return recorded(program, a, NULL, a->data, 0.0);
}

static PyObject *apply_to_two(const Program *program, PyObject *left, PyObject *right) {
    double number;
    if (is_value(left)) {
        Node *a = (Node *)left, *b = (Node *)right;
        if (Py_TYPE(right) == Value) return recorded(program, a, b, a->data, b->data);
        if (reads_number(right, &number)) return recorded(program, a, NULL, a->data, number);
    } else if (is_value(right) && reads_number(left, &number)) {
        Node *b = (Node *)right;
        return recorded(program, NULL, b, number, b->data);
    }
    return NULL;
}

/* ------------------------------------------------------------------ methods */

/* A method of Value: the generated Python function, and C for the operands that C knows. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Program *program;
    PyObject *pure;
    PyObject *dict;
    int reflected;             /* its arguments are (right, left) */
    struct Operator *operator; /* that it is the method of, if any */
} Method;

/* Python's operators.  As long as `settled`, Python calls C without looking the method up. */
typedef struct Operator {
    const char *name, *reflected_name;
    size_t offset; /* of its slot in a type */
    void *slot;
    Method *method, *reflected;
} Operator;

static void settle(Operator *operator);

static PyObject *method_call(PyObject *self, PyObject *const *given, size_t flagged,
                             PyObject *names) {
    Method *method = (Method *)self;
    const Program *program = method->program;
    Py_ssize_t count = PyVectorcall_NARGS(flagged);
    PyObject *node = NULL;
    if (method->operator && method->operator->method != method
        && method->operator->reflected != method)
        settle(method->operator);
    if (!names) {
        if (count == 2 && program->arity == 2)
            node = method->reflected ? apply_to_two(program, given[1], given[0])
                                     : apply_to_two(program, given[0], given[1]);
        else if (count == 1 && program->arity == 1)
            node = apply_to_one(program, given[0]);
        else if (count == 1 && program->has_default && is_value(given[0])) {
            Node *a = (Node *)given[0];
            node = recorded(program, a, NULL, a->data, program->y);
        }
    }
    if (node || PyErr_Occurred()) return node;
    return PyObject_Vectorcall(method->pure, given, flagged, names);
}

/* Method(program, pure, reflected) */
static PyObject *method_new(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(named)) {
    PyObject *program, *pure;
    int reflected;
    if (!PyArg_ParseTuple(arguments, "O!Op", program_type, &program, &pure, &reflected))
        return NULL;
    Method *method = (Method *)type->tp_alloc(type, 0);
    if (!method) return NULL;
    method->call = method_call;
    method->program = (Program *)Py_NewRef(program);
    method->pure = Py_NewRef(pure);
    method->reflected = reflected;
    return (PyObject *)method;
}

static void method_dealloc(PyObject *self) {
    Method *method = (Method *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(method->program);
    Py_XDECREF(method->pure);
    Py_XDECREF(method->dict);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *method_get(PyObject *self, PyObject *node, PyObject *Py_UNUSED(type)) {
    return node && node != Py_None ? PyMethod_New(self, node) : Py_NewRef(self);
}

static PyObject *operate(const Operator *operator, PyObject *left, PyObject *right) {
    const Method *method = is_value(left) ? operator->method : operator->reflected;
    PyObject *node = apply_to_two(method->program, left, right);
    if (node || PyErr_Occurred()) return node;
    PyObject *arguments[] = {left, right};
    if (method->reflected) arguments[0] = right, arguments[1] = left;
    return PyObject_Vectorcall(method->pure, arguments, 2, NULL);
}

static PyObject *operate_on_one(const Operator *operator, PyObject *operand) {
    PyObject *node = apply_to_one(operator->method->program, operand);
    if (node || PyErr_Occurred()) return node;
    return PyObject_CallOneArg(operator->method->pure, operand);
}

enum { PLUS, MINUS, TIMES, OVER, TO_THE, MODULO, FLOOR, OPPOSITE, SAME, SIZE, OPERATORS };
static Operator operators[OPERATORS];

#define BINARY(which) \
    static PyObject *slot_##which(PyObject *left, PyObject *right) \
    { return operate(&operators[which], left, right); }
#define UNARY(which) \
    static PyObject *slot_##which(PyObject *operand) \
    { return operate_on_one(&operators[which], operand); }
BINARY(PLUS) BINARY(MINUS) BINARY(TIMES) BINARY(OVER) BINARY(MODULO) BINARY(FLOOR)
UNARY(OPPOSITE) UNARY(SAME) UNARY(SIZE)

static PyObject *slot_TO_THE(PyObject *left, PyObject *right, PyObject *modulus) {
    if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
    return operate(&operators[TO_THE], left, right);
}

#define SLOT(field, which) offsetof(PyNumberMethods, field), (void *)slot_##which, NULL, NULL
static Operator operators[OPERATORS] = {
    [PLUS] = {"__add__", "__radd__", SLOT(nb_add, PLUS)},
    [MINUS] = {"__sub__", "__rsub__", SLOT(nb_subtract, MINUS)},
    [TIMES] = {"__mul__", "__rmul__", SLOT(nb_multiply, TIMES)},
    [OVER] = {"__truediv__", "__rtruediv__", SLOT(nb_true_divide, OVER)},
    [TO_THE] = {"__pow__", "__rpow__", SLOT(nb_power, TO_THE)},
    [MODULO] = {"__mod__", "__rmod__", SLOT(nb_remainder, MODULO)},
    [FLOOR] = {"__floordiv__", "__rfloordiv__", SLOT(nb_floor_divide, FLOOR)},
    [OPPOSITE] = {"__neg__", NULL, SLOT(nb_negative, OPPOSITE)},
    [SAME] = {"__pos__", NULL, SLOT(nb_positive, SAME)},
    [SIZE] = {"__abs__", NULL, SLOT(nb_absolute, SIZE)}
};

/* The Method that is an attribute of Value itself; NULL if it is something else. */
static Method *own_method(const char *name) {
    PyObject *method = PyDict_GetItemString(Value->tp_dict, name);
    return method && Py_TYPE(method) == method_type ? (Method *)method : NULL;
}

/* Lets Python call the operator's present methods directly, if they are Methods.  An assignment to
   the class, as a planted fault makes, brings back the way that looks them up; the first call comes
   here again. */
static void settle(Operator *operator) {
    Method *method = own_method(operator->name);
    Method *reflected = operator->reflected_name ? own_method(operator->reflected_name) : method;
    if (!method || !reflected) return;
    method->operator = reflected->operator = operator;
    Py_XSETREF(operator->method, (Method *)Py_NewRef(method));
    Py_XSETREF(operator->reflected, (Method *)Py_NewRef(reflected));
    memcpy((char *)Value->tp_as_number + operator->offset, &operator->slot, sizeof(void *));
}

static PyObject *settle_all(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused)) {
    for (int i = 0; i < OPERATORS; i++) settle(&operators[i]);
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ attributes */

/* The same object for a nan, so that a list with a nan equals itself as it does in Python. */
static PyObject *number_object(double number) {
    static PyObject *nans[2];
    if (number == number) return PyFloat_FromDouble(number);
    PyObject **nan = &nans[signbit(number) != 0];
    if (!*nan) *nan = PyFloat_FromDouble(number);
    return Py_XNewRef(*nan);
}

static PyObject *get_data(PyObject *self, void *Py_UNUSED(unused)) {
    return number_object(((Node *)self)->data);
}

static PyObject *get_grad(PyObject *self, void *Py_UNUSED(unused)) {
    Node *node = (Node *)self;
    if (node->flags & BOXED) return Py_NewRef(node->grad.object);
    return node->flags & TOUCHED ? number_object(node->grad.number) : Py_NewRef(untouched);
}

static int refuse_deletion(PyObject *value) {
    if (!value) PyErr_SetString(PyExc_AttributeError, "it cannot be deleted");
    return value ? 0 : -1;
}

static int set_double(PyObject *value, double *number) {
    if (refuse_deletion(value) < 0) return -1;
    double read = PyFloat_AsDouble(value);
    if (read == -1.0 && PyErr_Occurred()) return -1;
    *number = read;
    return 0;
}

/* What a user assigns; `_set_data` and `_set_grad` check what is not a float. */
static int set_checked(PyObject *self, PyObject *value, const char *checker) {
    if (refuse_deletion(value) < 0) return -1;
    PyObject *done = PyObject_CallMethod(self, checker, "O", value);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int set_raw_data(PyObject *self, PyObject *value, void *Py_UNUSED(unused)) {
    return set_double(value, &((Node *)self)->data);
}

static int set_data(PyObject *self, PyObject *value, void *Py_UNUSED(unused)) {
    if (!value || !PyFloat_CheckExact(value)) return set_checked(self, value, "_set_data");
    return set_raw_data(self, value, NULL);
}

static int set_raw_grad(PyObject *self, PyObject *value, void *Py_UNUSED(unused)) {
    Node *node = (Node *)self;
    if (refuse_deletion(value) < 0) return -1;
    PyObject *before = node->flags & BOXED ? node->grad.object : NULL;
    node->flags &= ~(BOXED | TOUCHED);
    if (value == untouched) {
        node->grad.number = 0.0;
    } else if (PyFloat_CheckExact(value)) { /* another kind of float may add in its own way */
        node->grad.number = PyFloat_AS_DOUBLE(value);
        node->flags |= TOUCHED;
    } else {
        node->grad.object = Py_NewRef(value);
        node->flags |= BOXED;
    }
    Py_XDECREF(before);
    return 0;
}

static int set_grad(PyObject *self, PyObject *value, void *Py_UNUSED(unused)) {
    if (!value || !PyFloat_CheckExact(value)) return set_checked(self, value, "_set_grad");
    return set_raw_grad(self, value, NULL);
}

static PyObject *get_parent(PyObject *self, void *second) {
    Node *node = (Node *)self, *parent = second ? node->b : node->a;
    return Py_NewRef(parent ? (PyObject *)parent : Py_None);
}

static int set_parent(PyObject *self, PyObject *value, void *second) {
    Node *node = (Node *)self, **place = second ? &node->b : &node->a, *before = *place;
    if (refuse_deletion(value) < 0) return -1;
    if (value != Py_None && !is_value(value)) node->flags |= STRANGE;
    *place = value == Py_None ? NULL : (Node *)Py_NewRef(value);
    Py_XDECREF(before);
    return 0;
}

static PyObject *get_operand(PyObject *self, void *second) {
    Node *node = (Node *)self;
    if (node->flags & (second ? HAS_Y : HAS_X)) return number_object(second ? node->y : node->x);
    PyErr_SetString(PyExc_AttributeError, second ? "y" : "x");
    return NULL;
}

static int set_operand(PyObject *self, PyObject *value, void *second) {
    Node *node = (Node *)self;
    if (set_double(value, second ? &node->y : &node->x) < 0) return -1;
    node->flags |= second ? HAS_Y : HAS_X;
    return 0;
}

static PyObject *get_row(PyObject *self, void *Py_UNUSED(unused)) {
    PyObject *row = ((Node *)self)->row;
    if (row) return Py_NewRef(row);
    PyErr_SetString(PyExc_AttributeError, "row");
    return NULL;
}

/* What a row other than an operation says about its node: an entry, PYTHON, ANCHOR. */
static int read_row(PyObject *row, uint32_t *entry, uint32_t *flags) {
    PyObject *op = PyObject_GetAttr(row, name_op), *hooks = NULL, *holds = NULL, *number;
    int done = -1, has_hooks, has_op;
    if (!op || !(hooks = PyObject_GetAttr(row, name_hooks))
        || !(holds = PyObject_GetAttr(row, name_holds_nodes))
        || (has_hooks = PyObject_IsTrue(hooks)) < 0) goto end;
    number = PyDict_GetItemWithError(entry_of, op);
    if (!number && PyErr_Occurred()) goto end;
    has_op = op != Py_None;
    if (number && Py_TYPE(row) == note_type && !has_hooks)
        *entry = (uint32_t)PyLong_AsUnsignedLong(number);
    if (has_hooks || (has_op && !*entry)) *flags |= PYTHON;
    if (holds != Py_False) *flags |= ANCHOR;
    done = 0;
end:
    Py_XDECREF(op);
    Py_XDECREF(hooks);
    Py_XDECREF(holds);
    return done;
}

/* Puts `adopt` among the functions that the collector calls, before there is an anchor. */
static int watch(void) {
    static int watching;
    if (watching) return 0;
    PyObject *gc = PyImport_ImportModule("gc");
    PyObject *callbacks = gc ? PyObject_GetAttrString(gc, "callbacks") : NULL;
    if (callbacks) watching = PyList_Append(callbacks, adopt_function) == 0;
    Py_XDECREF(gc);
    Py_XDECREF(callbacks);
    return watching ? 0 : -1;
}

static int set_row(PyObject *self, PyObject *row, void *Py_UNUSED(unused)) {
    Node *node = (Node *)self;
    uint32_t entry = 0, flags = 0;
    if (refuse_deletion(row) < 0) return -1;
    if (row != leaf_row) {
        PyObject *number = PyDict_GetItemWithError(entry_of, row);
        if (number) entry = (uint32_t)PyLong_AsUnsignedLong(number);
        else if (PyErr_Occurred() || read_row(row, &entry, &flags) < 0) return -1;
    }
    if (Py_TYPE(self) != Value) flags |= ANCHOR;
    if (flags & ANCHOR) {
        if (watch() < 0) return -1;
        track(node);
    }
    anchors += ((flags & ANCHOR) != 0) - ((node->flags & ANCHOR) != 0);
    node->entry = entry;
    node->flags = (node->flags & ~(PYTHON | ANCHOR)) | flags;
    PyObject *before = node->row;
    node->row = Py_NewRef(row);
    Py_XDECREF(before);
    return 0;
}

static int node_init(PyObject *self, PyObject *arguments, PyObject *named) {
    Node *node = (Node *)self;
    PyObject *data = PyTuple_GET_SIZE(arguments) == 1 ? PyTuple_GET_ITEM(arguments, 0) : NULL;
    if (!named && data && PyFloat_CheckExact(data) && Py_TYPE(self) == Value && !node->row) {
        PyObject *mode;
        if (PyContextVar_Get(mode_variable, NULL, &mode) < 0) return -1;
        Py_DECREF(mode);
        if (mode == Py_None) {
            node->data = PyFloat_AS_DOUBLE(data);
            node->row = Py_NewRef(leaf_row);
            return 0;
        }
    }
    PyObject *all = PyTuple_New(PyTuple_GET_SIZE(arguments) + 1);
    if (!all) return -1;
    PyTuple_SET_ITEM(all, 0, Py_NewRef(self));
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(all); i++)
        PyTuple_SET_ITEM(all, i, Py_NewRef(PyTuple_GET_ITEM(arguments, i - 1)));
    PyObject *done = PyObject_Call(pure_init, all, named);
    Py_DECREF(all);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* ------------------------------------------------------------------ the order */

typedef struct {
    Node **at;
    Py_ssize_t count, room;
} List;

/* One walk over a graph: its nodes, operands before results. */
typedef struct {
    List inner, leaves;
    List path;     /* from a root to the node whose parents are being visited */
    int together;  /* leaves are put among the inner nodes */
    int strange;   /* a node has a parent that is not a Value */
    int unknown;   /* the pullback of a node is Python's alone */
    uint32_t flags; /* of all nodes */
} Walk;

/* Adds a node at the end.  If there is no memory, no list has it, so no walk has seen it. */
static int push(List *list, Node *node) {
    if (list->count == list->room) {
        Py_ssize_t room = list->room ? 2 * list->room : 256;
        Node **at = PyMem_Realloc(list->at, room * sizeof *at);
        if (!at) {
            node->flags &= ~SEEN;
            PyErr_NoMemory();
            return -1;
        }
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = node;
    return 0;
}

static void unsee(const List *list) {
    for (Py_ssize_t i = 0; i < list->count; i++) list->at[i]->flags &= ~SEEN;
}

static void unsee_all(const Walk *walk) {
    unsee(&walk->inner);
    unsee(&walk->leaves);
    unsee(&walk->path);
}

static void end_walk(Walk *walk) {
    PyMem_Free(walk->inner.at);
    PyMem_Free(walk->leaves.at);
    PyMem_Free(walk->path.at);
}

/* Sees a node: 1 if its parents must be visited first, 0 if it is done, -1 on an error. */
static inline int see(Walk *walk, Node *node) {
    walk->flags |= node->flags;
    node->flags |= SEEN;
    if (node->a || node->b) {
        if (!present_program(node->entry)) walk->unknown = 1;
        return 1;
    }
    return push(walk->together ? &walk->inner : &walk->leaves, node);
}

/* The same order as `_visit` in order.py. */
static int visit_from(Walk *walk, Node *root) {
    if (root->flags & SEEN) return 0;
    int deeper = see(walk, root);
    if (deeper < 1) return deeper;
    for (Node *node = root;;) {
        if (node->flags & STRANGE) {
            walk->strange = 1;
            return push(&walk->path, node);
        }
        Node *parents[] = {node->a, node->b}, *next = NULL;
        for (int i = 0; i < 2 && !next; i++) {
            if (!parents[i] || parents[i]->flags & SEEN) continue;
            if ((deeper = see(walk, parents[i])) < 0) return -1;
            if (deeper) next = parents[i];
        }
        if (next) {
            if (push(&walk->path, node) < 0) {
                next->flags &= ~SEEN;
                return -1;
            }
            node = next;
            continue;
        }
        if (push(&walk->inner, node) < 0) return -1;
        if (!walk->path.count) return 0;
        node = walk->path.at[--walk->path.count];
    }
}

static int append_all(PyObject *list, const List *nodes) {
    for (Py_ssize_t i = 0; i < nodes->count; i++)
        if (PyList_Append(list, (PyObject *)nodes->at[i]) < 0) return -1;
    return 0;
}

/* visit(roots, inner, leaves, without): True once the lists are filled; None where a node is not a
   Value, and nothing has been done. */
static PyObject *visit(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count) {
    PyObject *inner, *leaves, *result = NULL;
    Walk walk = {0};
    List left_out = {0};
    if (count != 4 || !PyTuple_Check(given[0]) || !PyList_Check(given[1])
        || !PyList_Check(given[2])) {
        PyErr_SetString(PyExc_TypeError, "visit(roots, inner, leaves, without)");
        return NULL;
    }
    inner = given[1], leaves = given[2];
    PyObject *roots = given[0], *without = PySequence_Tuple(given[3]);
    if (!without) return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(without); i++) {
        PyObject *node = PyTuple_GET_ITEM(without, i);
        if (!is_value(node) || ((Node *)node)->flags & SEEN) continue;
        if (push(&left_out, (Node *)node) < 0) goto end;
        ((Node *)node)->flags |= SEEN;
    }
    walk.together = inner == leaves;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(roots) && !walk.strange; i++) {
        PyObject *root = PyTuple_GET_ITEM(roots, i);
        if (!is_value(root)) walk.strange = 1;
        else if (visit_from(&walk, (Node *)root) < 0) goto end;
    }
    if (walk.strange) result = Py_NewRef(Py_None);
    else if (append_all(inner, &walk.inner) == 0 && append_all(leaves, &walk.leaves) == 0)
        result = Py_NewRef(Py_True);
end:
    unsee(&left_out);
    unsee_all(&walk);
    PyMem_Free(left_out.at);
    end_walk(&walk);
    Py_DECREF(without);
    return result;
}

/* ------------------------------------------------------------------ the sweep */

static inline void add(const Program *program, int which, Node *node, Node *parent, double g) {
    double slope;
    switch (program->kinds[which]) {
    case NOTHING:
        if (node->data != node->data) parent->grad.number += node->data;
        return;
    case IDENTITY: parent->grad.number += g; return;
    case NEGATION: parent->grad.number -= g; return;
    case READS_X: slope = node->x; break;
    case READS_Y: slope = node->y; break;
    case READS_Z: slope = node->data; break;
    default: slope = run(&program->slopes[which], node->x, node->y, node->data);
    }
    parent->grad.number += g * slope;
}

/* Whether an adjoint of 0 has met a slope that is inf or nan in the present pass. */
static int lost;

static int is_lost(const Program *program, int which, Node *node, Node *parent) {
    return parent && program->kinds[which] == COMPUTED
        && !isfinite(run(&program->slopes[which], node->x, node->y, node->data));
}

/* Adds a node's adjoint, times the local derivatives, to those of its parents. */
static inline void pull(const Program *program, Node *node) {
    double g = node->grad.number;
    if (g == 0.0) {
        if (is_lost(program, 0, node, node->a) || is_lost(program, 1, node, node->b)) lost = 1;
        return;
    }
    if (node->a) add(program, 0, node, node->a, g);
    if (node->b) add(program, 1, node, node->b, g);
}

/* Gradients as they were before a pass. */
typedef struct {
    double number;
    uint32_t touched;
} Kept;

/* Keeps the gradients and ends the walk that has seen the nodes; then their pass can begin, in
   which inner nodes start at 0. */
static void begin(Kept *kept, Node *const *nodes, Py_ssize_t count, int at_zero) {
    for (Py_ssize_t i = 0; i < count; i++) {
        Node *node = nodes[i];
        kept[i] = (Kept){node->grad.number, node->flags & TOUCHED};
        if (at_zero) node->grad.number = 0.0;
        node->flags = (node->flags & ~SEEN) | TOUCHED;
    }
}

static void restore(const Kept *kept, Node *const *nodes, Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < count; i++) {
        nodes[i]->grad.number = kept[i].number;
        nodes[i]->flags = (nodes[i]->flags & ~TOUCHED) | kept[i].touched;
    }
}

/* A value that is nan has nan derivatives. */
static void seed_at(Node *root, double seed) {
    root->grad.number += root->data == root->data ? seed : Py_NAN;
}

static void sweep(Node *const *inner, Py_ssize_t count) {
    lost = 0;
    for (Py_ssize_t i = count; i--;) pull(entries[inner[i]->entry].program, inner[i]);
}

static int are_finite(const Node *root, Node *const *leaves, Py_ssize_t count) {
    if (!isfinite(root->data)) return 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!isfinite(leaves[i]->grad.number)) return 0;
    return 1;
}

/* backward(root, seed): True once the pass is done.  None, and nothing has changed, where it needs
   Python: for hooks, or because a number is inf or nan, or a slope is lost, which has to be
   reported. */
static PyObject *backward(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count) {
    if (count != 2 || !is_value(given[0]) || !PyFloat_CheckExact(given[1])) Py_RETURN_NONE;
    Node *root = (Node *)given[0];
    Walk walk = {0};
    Kept *kept = NULL;
    PyObject *result = NULL;
    passes++;
    if (visit_from(&walk, root) < 0) {
        unsee_all(&walk);
        goto end;
    }
    Node **inner = walk.inner.at, **leaves = walk.leaves.at;
    Py_ssize_t n = walk.inner.count, m = walk.leaves.count;
    result = Py_None;
    if (walk.strange || walk.unknown || walk.flags & (PYTHON | BOXED)) {
        unsee_all(&walk);
        goto end;
    }
    if (!(kept = PyMem_Malloc((n + m) * sizeof *kept))) {
        unsee_all(&walk);
        result = PyErr_NoMemory();
        goto end;
    }
    begin(kept, inner, n, 1);
    begin(kept + n, leaves, m, 0);
    seed_at(root, PyFloat_AS_DOUBLE(given[1]));
    sweep(inner, n);
    result = Py_True;
    if (lost || !are_finite(root, leaves, m)) {
        restore(kept, inner, n);
        restore(kept + n, leaves, m);
        result = Py_None;
    }
end:
    PyMem_Free(kept);
    end_walk(&walk);
    return Py_XNewRef(result);
}

/* Whether all items are Values over which a pass needs no Python; they are put into the list.
   -1 without memory. */
static int take_nodes(PyObject *items, int computed, List *nodes) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); i++) {
        Node *node = (Node *)PyList_GET_ITEM(items, i);
        if (!is_value((PyObject *)node) || node->flags & (PYTHON | BOXED | STRANGE)) return 0;
        if (computed && !present_program(node->entry)) return 0;
        if (push(nodes, node) < 0) return -1;
    }
    return 1;
}

/* Whether it is a node that was seen, and a float. */
static int is_seed(PyObject *pair) {
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) return 0;
    PyObject *root = PyTuple_GET_ITEM(pair, 0);
    return PyFloat_CheckExact(PyTuple_GET_ITEM(pair, 1)) && is_value(root)
        && ((Node *)root)->flags & SEEN;
}

/* Writes 1 for each wanted node that was seen, and 0 for others; whether all is as it should be. */
static int are_reached(PyObject *seeds, PyObject *wanted, double *reached) {
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(seeds); i++)
        if (!is_seed(PyList_GET_ITEM(seeds, i))) return 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(wanted); i++) {
        PyObject *node = PyList_GET_ITEM(wanted, i);
        if (!is_value(node)) return 0;
        reached[i] = ((Node *)node)->flags & SEEN ? 1.0 : 0.0;
    }
    return 1;
}

/* derivatives(inner, leaves, seeds, wanted): a list, as `derivatives` in value.py gives it; no
   gradient has changed.  None where the pass needs Python. */
static PyObject *derivatives(PyObject *Py_UNUSED(module), PyObject *const *given,
                             Py_ssize_t count) {
    for (Py_ssize_t i = 0; i < 4; i++)
        if (count != 4 || !PyList_CheckExact(given[i])) Py_RETURN_NONE;
    PyObject *seeds = given[2], *wanted = given[3], *result = NULL;
    Py_ssize_t inner = PyList_GET_SIZE(given[0]), asked = PyList_GET_SIZE(wanted);
    List nodes = {0};
    passes++;
    int simple = take_nodes(given[0], 1, &nodes);
    if (simple > 0) simple = take_nodes(given[1], 0, &nodes);
    Kept *kept = PyMem_Malloc((nodes.count + 1) * sizeof *kept);
    double *gradients = PyMem_Malloc((asked + 1) * sizeof *gradients);
    if (simple < 0 || !kept || !gradients) {
        PyErr_NoMemory();
        goto end;
    }
    for (Py_ssize_t i = 0; i < nodes.count; i++) nodes.at[i]->flags |= SEEN;
    simple = simple && are_reached(seeds, wanted, gradients);
    if (simple) {
        begin(kept, nodes.at, nodes.count, 1);
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(seeds); i++) {
            PyObject *pair = PyList_GET_ITEM(seeds, i), *root = PyTuple_GET_ITEM(pair, 0);
            seed_at((Node *)root, PyFloat_AS_DOUBLE(PyTuple_GET_ITEM(pair, 1)));
        }
        sweep(nodes.at, inner);
        for (Py_ssize_t i = 0; i < asked; i++)
            if (gradients[i] != 0.0)
                gradients[i] = ((Node *)PyList_GET_ITEM(wanted, i))->grad.number;
        restore(kept, nodes.at, nodes.count);
        simple = !lost;
    } else {
        unsee(&nodes);
    }
    result = simple ? PyList_New(asked) : Py_NewRef(Py_None);
    for (Py_ssize_t i = 0; simple && result && i < asked; i++)
        PyList_SET_ITEM(result, i, number_object(gradients[i]));
end:
    PyMem_Free(gradients);
    PyMem_Free(kept);
    PyMem_Free(nodes.at);
    return result;
}

/* steps(inner): an iterator from the last node to the first, as `reversed` gives it, over those
   that Python has to pull back.  It pulls back the others on its way. */
typedef struct {
    PyObject_HEAD
    PyObject *inner;
    Py_ssize_t left;
} Steps;

static PyObject *steps(PyObject *Py_UNUSED(module), PyObject *inner) {
    if (!PyList_CheckExact(inner)) {
        PyErr_SetString(PyExc_TypeError, "steps(inner): expected a list");
        return NULL;
    }
    Steps *made = PyObject_New(Steps, steps_type);
    if (!made) return NULL;
    made->inner = Py_NewRef(inner);
    made->left = PyList_GET_SIZE(inner);
    return (PyObject *)made;
}

static void steps_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(((Steps *)self)->inner);
    type->tp_free(self);
    Py_DECREF(type);
}

static int is_boxed(const Node *parent) {
    return parent && parent->flags & BOXED;
}

static PyObject *steps_next(PyObject *self) {
    Steps *made = (Steps *)self;
    passes++;
    while (made->left > 0 && made->left <= PyList_GET_SIZE(made->inner)) {
        PyObject *item = PyList_GET_ITEM(made->inner, --made->left);
        Node *node = (Node *)item;
        if (!is_value(item) || node->flags & (PYTHON | BOXED | STRANGE) || is_boxed(node->a)
            || is_boxed(node->b)) return Py_NewRef(item);
        const Program *program = present_program(node->entry);
        if (!program) return Py_NewRef(item);
        pull(program, node);
    }
    return NULL;
}

/* ------------------------------------------------------------------ the collector */

/* Collects the nodes that the collector does not see, among the things an object refers to. */
static int meet_node(PyObject *object, void *nodes) {
    if (Py_TYPE(object) != Value || ((Node *)object)->flags & TRACKED) return 0;
    return push(nodes, (Node *)object);
}

/* Lets the collector see every descendant of an anchor that anything it sees refers to. */
static int track_descendants(PyObject *objects) {
    List roots = {0};
    Walk walk = {.together = 1};
    int done = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects) && !done; i++) {
        PyObject *object = PyList_GET_ITEM(objects, i);
        if (object != objects) done = Py_TYPE(object)->tp_traverse(object, meet_node, &roots);
    }
    for (Py_ssize_t i = 0; i < roots.count && !done; i++) {
        done = visit_from(&walk, roots.at[i]);
        /* A strange parent ends a walk: its node is an end here, which is tracked itself. */
        while (walk.strange && walk.path.count) {
            Node *node = walk.path.at[--walk.path.count];
            track(node);
            if (push(&walk.inner, node) < 0) done = -1;
        }
        walk.strange = 0;
    }
    for (Py_ssize_t i = 0; i < walk.inner.count && !done; i++) {
        Node *node = walk.inner.at[i];
        if (node->flags & STRANGE) continue;
        if ((node->a && node->a->flags & TRACKED) || (node->b && node->b->flags & TRACKED))
            track(node);
    }
    unsee_all(&walk);
    PyMem_Free(roots.at);
    end_walk(&walk);
    return done;
}

/* A function for `gc.callbacks`.  Up to Python 3.13 generation 2 is a full collection; later ones
   collect bit by bit, so a growing number of anchors counts too. */
static PyObject *adopt(PyObject *Py_UNUSED(module), PyObject *arguments) {
    static Py_ssize_t last_time;
    const char *phase;
    PyObject *info, *objects, *gc;
    if (!PyArg_ParseTuple(arguments, "sO!", &phase, &PyDict_Type, &info)) return NULL;
    PyObject *generation = PyDict_GetItemString(info, "generation");
    if (strcmp(phase, "start") || !anchors || !generation) Py_RETURN_NONE;
    long which = PyLong_AsLong(generation);
    if (which < 1 || (which == 1 && anchors < last_time + last_time / 4 + 1000)) Py_RETURN_NONE;
    if (!(gc = PyImport_ImportModule("gc"))) return NULL;
    objects = PyObject_CallMethod(gc, "get_objects", NULL);
    Py_DECREF(gc);
    if (!objects) return NULL;
    last_time = anchors;
    int done = track_descendants(objects);
    Py_DECREF(objects);
    if (done < 0) return NULL;
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ types and module */

static PyGetSetDef node_attributes[] = {
    {"data", get_data, set_data, "The number.", NULL},
    {"grad", get_grad, set_grad, "The gradient.", NULL},
    {"_data", get_data, set_raw_data, NULL, NULL},
    {"_grad", get_grad, set_raw_grad, NULL, NULL},
    {"a", get_parent, set_parent, NULL, NULL},
    {"b", get_parent, set_parent, NULL, (void *)1},
    {"x", get_operand, set_operand, NULL, NULL},
    {"y", get_operand, set_operand, NULL, (void *)1},
    {"row", get_row, set_row, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}
};
static PyType_Slot node_slots[] = {
    {Py_tp_doc, "Value(data, label='', *, requires_grad=True)\n--\n\n"},
    {Py_tp_alloc, node_alloc}, {Py_tp_dealloc, node_dealloc}, {Py_tp_free, PyObject_GC_Del},
    {Py_tp_init, node_init}, {Py_tp_traverse, node_traverse}, {Py_tp_clear, node_clear},
    {Py_tp_getset, node_attributes}, {0, NULL}
};
static PyType_Spec node_spec = {
    "autograd.value.Value", sizeof(Node), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, node_slots
};

static PyType_Slot program_slots[] = {
    {Py_tp_new, program_new}, {Py_tp_dealloc, program_dealloc}, {0, NULL}
};
static PyType_Spec program_spec = {
    "autograd.eager.Program", sizeof(Program), 0, Py_TPFLAGS_DEFAULT, program_slots
};

static PyMemberDef method_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(Method, dict), READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL}
};
static PyGetSetDef method_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}
};
static PyType_Slot method_slots[] = {
    {Py_tp_new, method_new}, {Py_tp_dealloc, method_dealloc}, {Py_tp_descr_get, method_get},
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_members, method_members},
    {Py_tp_getset, method_attributes}, {0, NULL}
};
static PyType_Spec method_spec = {
    "autograd.eager.Method", sizeof(Method), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_HAVE_VECTORCALL, method_slots
};

static PyType_Slot steps_slots[] = {
    {Py_tp_dealloc, steps_dealloc}, {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, steps_next}, {0, NULL}
};
static PyType_Spec steps_spec = {
    "autograd.eager.Steps", sizeof(Steps), 0, Py_TPFLAGS_DEFAULT, steps_slots
};

/* start(bases, init, Mode, Note, leaf_row, untouched, present_mode, present_call, hypot): the class
   of nodes; the present mode and call are the `get` of context variables. */
static PyObject *start(PyObject *module, PyObject *arguments) {
    PyObject *bases, *mode, *note, *get_mode, *get_call;
    adopt_function = PyObject_GetAttrString(module, "adopt");
    if (!adopt_function
        || !PyArg_ParseTuple(arguments, "O!OO!O!OOO!O!O", &PyTuple_Type, &bases, &pure_init,
                             &PyType_Type, &mode, &PyType_Type, &note, &leaf_row, &untouched,
                          &PyCFunction_Type, &get_mode, &PyCFunction_Type, &get_call, &exact_hypot))
        return NULL;
    mode_type = (PyTypeObject *)Py_NewRef(mode);
    note_type = (PyTypeObject *)Py_NewRef(note);
    Py_INCREF(pure_init);
    Py_INCREF(leaf_row);
    Py_INCREF(untouched);
    Py_INCREF(exact_hypot);
    mode_variable = Py_NewRef(PyCFunction_GET_SELF(get_mode));
    call_variable = Py_NewRef(PyCFunction_GET_SELF(get_call));
    Value = (PyTypeObject *)PyType_FromSpecWithBases(&node_spec, bases);
    return Py_XNewRef((PyObject *)Value);
}

static PyMethodDef module_functions[] = {
    {"start", start, METH_VARARGS, NULL},
    {"settle", settle_all, METH_NOARGS, NULL},
    {"visit", (PyCFunction)(void (*)(void))visit, METH_FASTCALL, NULL},
    {"backward", (PyCFunction)(void (*)(void))backward, METH_FASTCALL, NULL},
    {"derivatives", (PyCFunction)(void (*)(void))derivatives, METH_FASTCALL, NULL},
    {"steps", steps, METH_O, NULL},
    {"adopt", adopt, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL}
};

/* Adds a dict from names to their numbers. */
static int add_name(PyObject *names, const char *name, int number) {
    PyObject *value = PyLong_FromLong(number);
    int done = value ? PyDict_SetItemString(names, name, value) : -1;
    Py_XDECREF(value);
    return done;
}

static int add_type(PyObject *module, const char *name, PyTypeObject **type, PyType_Spec *spec) {
    *type = (PyTypeObject *)PyType_FromSpec(spec);
    return *type ? PyModule_AddObjectRef(module, name, (PyObject *)*type) : -1;
}

static int module_exec(PyObject *module) {
    static int loaded;
#ifdef Py_GIL_DISABLED
    PyErr_SetString(PyExc_ImportError, "it needs the global interpreter lock");
    return -1;
#endif
    /* Its state is global: one interpreter has it, and once. */
    if (loaded || PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "it can be loaded once, by the main interpreter");
        return -1;
    }
    loaded = 1;
    name_pullback = PyUnicode_InternFromString("pullback");
    name_program = PyUnicode_InternFromString("program");
    name_op = PyUnicode_InternFromString("op");
    name_hooks = PyUnicode_InternFromString("hooks");
    name_holds_nodes = PyUnicode_InternFromString("holds_nodes");
    entry_of = PyDict_New();
    entries = PyMem_Calloc(entry_room, sizeof *entries);
    PyObject *instructions = PyDict_New(), *names = PyDict_New();
    if (!name_pullback || !name_program || !name_op || !name_hooks || !name_holds_nodes
        || !entry_of || !entries || !instructions || !names) return -1;
    for (int i = 0; i < INSTRUCTIONS; i++)
        if (add_name(instructions, instruction_names[i], i) < 0) return -1;
    for (int i = 0; i < LENGTH(functions); i++)
        if (add_name(names, functions[i].name, i) < 0) return -1;
    for (int i = 0; i < LENGTH(functions_of_two); i++)
        if (add_name(names, functions_of_two[i].name, i) < 0) return -1;
    if (add_type(module, "Program", &program_type, &program_spec) < 0
        || add_type(module, "Method", &method_type, &method_spec) < 0
        || add_type(module, "Steps", &steps_type, &steps_spec) < 0
        || PyModule_AddObject(module, "INSTRUCTIONS", instructions) < 0
        || PyModule_AddObject(module, "FUNCTIONS", names) < 0
        || PyModule_AddObject(module, "SOURCE", PyLong_FromUnsignedLong(SOURCE)) < 0) return -1;
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL}
};
static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT, "eager", NULL, 0, module_functions, module_slots, NULL, NULL, NULL
};

PyMODINIT_FUNC PyInit_eager(void) {
    return PyModuleDef_Init(&module_definition);
}
