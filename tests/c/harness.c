/* The kernels below Python: every loss of every instruction set that this machine has, on the problems of a table that
 * table.py has written, with arrays that end at a page that cannot be touched, or begin after one.
 *
 *     harness TABLE ... [--isa NAME] [--bits 32|64] [--partial] [--brief] [--digests FILE | --new-digests FILE]
 *
 * Three things are checked in every run:
 *   - each number lies in the interval that the table gives (exact +- tolerance, from fastloss.reference),
 *   - nothing but the outputs is written: canaries stand around them and in the gaps of strided ones,
 *   - positions of bad targets and weights, and the sum of the weights.
 * Runs of the same problem that differ only in where the arrays stand, or how many rows there are, have to agree to the last bit;
 * and so have all instruction sets with fused multiply-add. Of the problems whose inputs are the same on every machine, FILE
 * holds digests of all that comes out (`make -C tests/c digests` writes it anew).
 *
 * --brief: fewer lengths, places and layouts, where the kernels are slow (coverage, emulators).
 * --partial: losses may be missing from the kernels (tests/c/mutate.py compiles a few). With -DUSE_MALLOC arrays stand
 * in blocks of exactly their size, for AddressSanitizer, which knows nothing of pages.
 */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fastloss.h"

enum kind { POINTWISE, ROWS, ROW_FUNCTION, SETS, PACKED, PRODUCT };
enum target_kind { NO_TARGET, REAL_TARGET, CLASS_TARGET, ROW_TARGET }; /* the last: one real number for a row */
enum output { VALUE, GRADIENT, EXACT, PSD, MAJORIZE, N_OUTPUTS };
enum { MAGIC = 0x5EED1055, PATTERN = 0x5A, MARGIN = 128, COEFFICIENTS = 20 };

typedef struct interval {
    double low, high; /* low > high: nothing is known; both nan: nan */
} interval;

typedef struct problem {
    int64_t bits, kind, n, n_classes, target_kind, wants, has_ignore_index, ignore_index;
    int64_t fixed; /* inputs that are the same everywhere, so that digests can be taken */
    int64_t n_coefficients;
    char name[32];
    double coefficients[COEFFICIENTS], label_smoothing;
    double *prediction, *target, *class_weight, *extra;
    interval *expected[N_OUTPUTS]; /* NULL: nothing is known */
    ptrdiff_t width;               /* numbers a row of the derivatives */
} problem;

/* As the driver has it. */
static int domain_of(const problem *p, const fl_loss *loss)
{
    return loss->domain + (loss->domain == FL_CLASSES ? (int)p->n_coefficients : 0);
}

/* Numbers of a row's target. */
static ptrdiff_t target_width(const problem *p) { return p->target_kind == REAL_TARGET ? p->n_classes : 1; }

/* ---------------------------------------------------------------------------------- what goes wrong */

static char situation[512]; /* what is being run, for the message */
static const char *isa = "";
static const problem *current;
static int brief;

static _Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "FAILED %s float%d %s (kind %d, %td rows, %td classes)\n  %s\n  ", isa, (int)current->bits,
            current->name, (int)current->kind, (ptrdiff_t)current->n, (ptrdiff_t)current->n_classes, situation);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static void on_fault(int number)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "SIGNAL %d: %s float%d %s, %td classes\n  %s\n", number, isa,
                     (int)current->bits, current->name, (ptrdiff_t)current->n_classes, situation);
    if (write(2, text, (size_t)n) < 0) _exit(3);
    _exit(2);
}

/* ---------------------------------------------------------------------------------- digests */

/* Of all that comes out of the problems with fixed inputs, for one loss, one real type and one instruction set. */
typedef struct digest {
    char name[32];
    int bits, n_problems;
    const char *isa;
    uint64_t hash;
} digest;

static digest digests[512];
static int n_digests;

static void take_digest(digest *d, double x)
{
    uint64_t bits = 0x7ff8000000000000; /* of nan only that it is one */
    if (!isnan(x)) memcpy(&bits, &x, sizeof bits);
    d->hash = (d->hash ^ bits) * 0x9E3779B97F4A7C15;
    d->hash ^= d->hash >> 29;
}

/* The running digest of the current problem's loss, or NULL where there is none. */
static digest *current_digest(void)
{
    if (!current->fixed || !strcmp(isa, "baseline")) return NULL; /* its last bits differ */
    for (int i = n_digests - 1; i >= 0; i--)
        if (digests[i].bits == current->bits && digests[i].isa == isa && !strcmp(digests[i].name, current->name))
            return &digests[i];
    if (n_digests == sizeof digests / sizeof *digests) abort();
    digest *d = &digests[n_digests++];
    *d = (digest){.bits = (int)current->bits, .isa = isa};
    memcpy(d->name, current->name, sizeof d->name);
    return d;
}

static int write_digests(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) return perror(path), 4;
    for (int i = 0; i < n_digests; i++)
        if (digests[i].isa == digests[0].isa)
            fprintf(file, "%s %d %d %016llx\n", digests[i].name, digests[i].bits, digests[i].n_problems,
                    (unsigned long long)digests[i].hash);
    return fclose(file) ? 4 : 0;
}

/* Each digest against the line of its loss; and, but for parts, each line against a digest. */
static int check_digests(const char *path, int partial)
{
    FILE *file = fopen(path, "r");
    if (!file) return perror(path), 4;
    int wrong = 0, matched = 0, bits, n_problems;
    char name[32];
    unsigned long long hash;
    while (fscanf(file, "%31s %d %d %llx", name, &bits, &n_problems, &hash) == 4) {
        int found = 0;
        for (int i = 0; i < n_digests; i++) {
            const digest *d = &digests[i];
            if (d->bits != bits || strcmp(d->name, name) != 0) continue;
            found = 1;
            if (d->n_problems == n_problems && d->hash == hash)
                matched++;
            else
                wrong++,
                    fprintf(stderr, "FAILED %s float%d %s\n  %d problems\n  other bits: %016llx instead of %016llx\n",
                            d->isa, bits, name, d->n_problems, (unsigned long long)d->hash, hash);
        }
        if (!found && !partial && n_digests) wrong++, fprintf(stderr, "FAILED: no digest of %s float%d\n", name, bits);
    }
    fclose(file);
    if (matched + wrong < n_digests) wrong++, fprintf(stderr, "FAILED: a loss without a line in %s\n", path);
    printf("%d digests\n", matched);
    return wrong != 0;
}

/* ---------------------------------------------------------------------------------- deterministic chance */

static uint64_t state;

static void stir(const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) state = (state ^ ((const unsigned char *)bytes)[i]) * 0x9E3779B97F4A7C15;
}

/* Other draws for every problem; the same for one problem, in whatever table and on every instruction set. */
static void start_draws(const problem *p)
{
    const int64_t shape[] = {p->kind, p->n, p->n_classes, p->target_kind, p->has_ignore_index};
    state = 1;
    stir(p->name, sizeof p->name);
    stir(shape, sizeof shape);
    stir(p->coefficients, FL_COEFFICIENTS * sizeof *p->coefficients);
}

static unsigned draw(unsigned below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

/* ---------------------------------------------------------------------------------- arrays between guard pages */

/* Where an array stands: at a cache line's start; `shift` elements before the page at the end; as many after the one before. */
enum place { PLAIN, AT_END, AT_BEGIN };

enum role { PREDICTION, TARGET, WEIGHT, EXTRA, CLASS_WEIGHT, VALUE_OUT, GRADIENT_OUT, HESSIAN_OUT, SCRATCH, N_ROLES };

typedef struct region {
    char *begin, *end;      /* what can be touched */
    char *data, *data_end;  /* the array's bytes */
    char *canary, *canary_end;
} region;

static region regions[N_ROLES];
enum { REGION_BYTES = 1 << 23 };

static char *reserve(enum role role, size_t bytes, enum place place, size_t shift)
{
    region *r = &regions[role];
#ifdef USE_MALLOC
    free(r->begin);
    (void)place;
    r->begin = malloc(bytes + shift);
    if (!r->begin) abort();
    r->end = r->begin + bytes + shift;
    r->data = r->begin + shift;
#else
    if (!r->begin) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *all = mmap(NULL, REGION_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == MAP_FAILED || mprotect(all + page, REGION_BYTES, PROT_READ | PROT_WRITE)) abort();
        r->begin = all + page, r->end = r->begin + REGION_BYTES;
    }
    if (bytes + shift + 4096 > REGION_BYTES) fail("%zu bytes do not fit a region", bytes);
    r->data = place == PLAIN ? r->begin + 4096 : place == AT_BEGIN ? r->begin + shift : r->end - bytes - shift;
#endif
    r->data_end = r->data + bytes;
    r->canary = r->data - r->begin > MARGIN ? r->data - MARGIN : r->begin;
    r->canary_end = r->end - r->data_end > MARGIN ? r->data_end + MARGIN : r->end;
    memset(r->canary, PATTERN, (size_t)(r->canary_end - r->canary));
    return r->data;
}

static const size_t type_size[] = {[FL_BOOL] = 1, [FL_I8] = 1,  [FL_U8] = 1,  [FL_I16] = 2, [FL_U16] = 2,
                                   [FL_I32] = 4,  [FL_U32] = 4, [FL_I64] = 8, [FL_U64] = 8, [FL_F32] = 4,
                                   [FL_F64] = 8,  [FL_F16] = 2, [FL_BF16] = 2};

#define FOR_EACH_TYPE(CASE) \
    CASE(FL_BOOL, uint8_t)  \
    CASE(FL_I8, int8_t)     \
    CASE(FL_U8, uint8_t)    \
    CASE(FL_I16, int16_t)   \
    CASE(FL_U16, uint16_t)  \
    CASE(FL_I32, int32_t)   \
    CASE(FL_U32, uint32_t)  \
    CASE(FL_I64, int64_t)   \
    CASE(FL_U64, uint64_t)  \
    CASE(FL_F32, float)     \
    CASE(FL_F64, double)

/* Halves one bit after the other, and not as the kernels do it: `mantissa` bits behind the point, numbers from 2^lowest on. */
static double round_half(double x, int mantissa, int lowest, double largest)
{
    if (x == 0 || !isfinite(x)) return x;
    int exponent;
    frexp(x, &exponent);
    const double unit = ldexp(1, (exponent - 1 < lowest ? lowest : exponent - 1) - mantissa),
                 y = nearbyint(x / unit) * unit;
    return fabs(y) > largest ? copysign(INFINITY, x) : copysign(y, x);
}

static double rounded_to(int type, double x)
{
    return type == FL_F16 ? round_half(x, 10, -14, 65504) : type == FL_BF16 ? round_half(x, 7, -126, 0x1.fep127) : x;
}

static double half_of_bits(int type, unsigned bits)
{
    const int mantissa = type == FL_F16 ? 10 : 7, bias = type == FL_F16 ? 15 : 127;
    const int exponent = (int)(bits >> mantissa & (2u * (unsigned)bias + 1)),
              rest = (int)(bits & ((1u << mantissa) - 1));
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 2 * bias + 1) return rest ? NAN : sign * INFINITY;
    return sign * ldexp(exponent ? rest + (1 << mantissa) : rest, (exponent ? exponent : 1) - bias - mantissa);
}

/* x is a half already */
static unsigned bits_of_half(int type, double x)
{
    const int mantissa = type == FL_F16 ? 10 : 7, bias = type == FL_F16 ? 15 : 127;
    const unsigned sign = signbit(x) ? 0x8000 : 0, infinite = (2u * (unsigned)bias + 1) << mantissa;
    if (isnan(x)) return infinite | 1u << (mantissa - 1);
    if (isinf(x)) return sign | infinite;
    int exponent;
    frexp(x, &exponent);
    if (x == 0 || exponent - 1 < 1 - bias) return sign | (unsigned)fabs(ldexp(x, bias - 1 + mantissa));
    return sign | (((unsigned)(exponent - 1 + bias) << mantissa) + (unsigned)(ldexp(fabs(x), mantissa + 1 - exponent)) -
                   (1u << mantissa));
}

static void put(char *to, int type, double x)
{
    if (type == FL_F16 || type == FL_BF16) {
        const uint16_t y = (uint16_t)bits_of_half(type, rounded_to(type, x));
        memcpy(to, &y, sizeof y);
        return;
    }
    switch (type) {
#define CASE(code, ctype)         \
    case code: {                  \
        ctype y = (ctype)x;       \
        memcpy(to, &y, sizeof y); \
        break;                    \
    }
        FOR_EACH_TYPE(CASE)
#undef CASE
    }
}

static double get(const char *from, int type)
{
    if (type == FL_F64) {
        double x;
        memcpy(&x, from, sizeof x);
        return x;
    }
    if (type == FL_F16 || type == FL_BF16) {
        uint16_t x;
        memcpy(&x, from, sizeof x);
        return half_of_bits(type, x);
    }
    float x;
    memcpy(&x, from, sizeof x);
    return (double)x;
}

/* The smallest and largest value that the type holds exactly all around. */
static int fits(int type, double x)
{
    static const double low[] = {[FL_BOOL] = 0, [FL_I8] = -128,  [FL_I16] = -32768, [FL_I32] = -2147483648.0,
                                 [FL_U64] = 0,  [FL_I64] = -9e15};
    static const double high[] = {[FL_BOOL] = 1,          [FL_I8] = 127,    [FL_U8] = 255,
                                  [FL_I16] = 32767,       [FL_U16] = 65535, [FL_I32] = 2147483647.,
                                  [FL_U32] = 4294967295., [FL_I64] = 9e15,  [FL_U64] = 9e15};
    if (type == FL_F64) return 1;
    if (type == FL_F32) return isnan(x) || (double)(float)x == x;
    return x == floor(x) && x >= low[type] && x <= high[type] && !(x == 0 && signbit(x));
}

/* How the elements of an (outer, classes, inner) array follow each other. */
enum layout { C_ORDER, F_ORDER, WITH_GAPS, PADDED_ROWS, BACKWARDS, SINGLE, N_LAYOUTS };

typedef struct shape {
    ptrdiff_t outer, classes, inner;
} shape;

/* Places an array and describes it; the elements are not written. */
static fl_array place_array(enum role role, int type, shape n, int layout, enum place place, int shift)
{
    const ptrdiff_t size = (ptrdiff_t)type_size[type];
    ptrdiff_t inner = size, classes = n.inner * size, outer = n.classes * n.inner * size;
    if (layout == F_ORDER) outer = size, classes = n.outer * size, inner = n.outer * n.classes * size;
    if (layout == WITH_GAPS) inner *= 2, classes *= 2, outer = outer * 2 + 3 * size;
    if (layout == PADDED_ROWS) outer += 3 * size;
    if (layout == SINGLE) inner = classes = outer = 0;
    ptrdiff_t span = 0;
    if (n.outer && n.classes && n.inner)
        span = (n.outer - 1) * outer + (n.classes - 1) * classes + (n.inner - 1) * inner + size;
    char *data = reserve(role, (size_t)span, place, (size_t)(shift * size));
    if (layout == BACKWARDS && n.outer) data += (n.outer - 1) * outer, outer = -outer;
    return (fl_array){.data = data, .outer = outer, .classes = classes, .inner = inner, .type = type};
}

static char *element(const fl_array *a, ptrdiff_t n_inner, ptrdiff_t row, ptrdiff_t k)
{
    return a->data + row / n_inner * a->outer + k * a->classes + row % n_inner * a->inner;
}

/* ---------------------------------------------------------------------------------- one run */

typedef struct options {
    int want, curvature;
    ptrdiff_t from, n;  /* rows of the problem */
    ptrdiff_t n_inner;  /* divides n */
    ptrdiff_t block;    /* rows handed over at a time */
    int weighted, weight_layout, weight_type;
    double scale;
    int stream, reduce; /* reduce: the values are summed */
    int layout, target_layout, out_layout, out_type, target_type, prediction_type, value_type;
    int inputs; /* all numbers that come in are rounded to this type, so that nothing is known of what comes out; 0: to none */
    int in_place; /* the gradient takes the prediction's place */
    int poisoned; /* what weighs nothing holds what would be refused elsewhere */
    enum place place;
    int shift[N_ROLES];
} options;

typedef struct outcome {
    double *of[3]; /* value (a number a row, or a set), gradient, Hessian */
    double sum;
} outcome;

/* Small and exact in every type; some 0. */
static double weight_of(ptrdiff_t row) { return (double[]){1, 2, 0, 3, 1, 0, 5, 1, 2}[row % 9]; }
static double shared_weight = 3; /* of arrays that hold one number for all */

/* Sets with weights: the table's numbers are of these. */
static int has_own_weights(const problem *p) { return p->kind == SETS && p->extra; }

static double weight_at(const problem *p, const options *o, ptrdiff_t row)
{
    if (!o->weighted) return 1;
    return o->weight_layout == SINGLE ? shared_weight : has_own_weights(p) ? p->extra[row] : weight_of(row);
}

static int is_real_type(const problem *p, int type) { return type == (p->bits == 32 ? FL_F32 : FL_F64); }

static double rounded(const problem *p, double x) { return p->bits == 32 ? (double)(float)x : x; }

static void check_number(const problem *p, double x, interval e, double factor, int narrowed, const char *what,
                         ptrdiff_t row, ptrdiff_t k)
{
    if (e.low > e.high) return;
    if (factor == 0 ? x == 0 : isnan(e.low) ? isnan(x) : x >= e.low * factor && x <= e.high * factor) return;
    if (factor != 0 && !isnan(e.low) && !isnan(x) && (factor != 1 || narrowed)) {
        /* one rounding for each factor, and what falls out of the range at either end */
        const int single = p->bits == 32 || narrowed;
        const double eps = single ? FLT_EPSILON : DBL_EPSILON, largest = single ? FLT_MAX : DBL_MAX;
        const double tiny = single ? FLT_MIN : DBL_MIN;
        double low = e.low * factor, high = e.high * factor;
        if (isfinite(low)) low -= fabs(low) * 3 * eps + tiny;
        if (isfinite(high)) high += fabs(high) * 3 * eps + tiny;
        if (high >= largest * (1 - eps)) high = INFINITY;
        if (low <= -largest * (1 - eps)) low = -INFINITY;
        if (x >= low && x <= high) return;
        if (factor > 1 && isinf(x) && fabs(e.high * factor) >= largest * (1 - eps)) return;
    }
    fail("%s of row %td, class %td: %.17g (%a) instead of %.17g ... %.17g, times %g", what, row, k, x, x, e.low, e.high,
         factor);
}

/* Runs the kernel as the driver would: check, then block after block. Fills `out` and checks all that can be checked. */
static void run(const problem *p, const fl_loss *loss, const options *o, outcome *out)
{
    const int real_type = p->bits == 32 ? FL_F32 : FL_F64;
    const int sets = p->kind == SETS, rowwise = p->kind != POINTWISE, own_weights = has_own_weights(p);
    const shape full = {o->n_inner ? o->n / o->n_inner : 0, p->n_classes, o->n_inner};
    const shape one = {full.outer, 1, full.inner};
    const int by_class = p->target_kind == CLASS_TARGET;
    int n = snprintf(
        situation, sizeof situation,
        "want %d curvature %d rows %td+%td inner %td block %td weighted %d (layout %d type %d) scale %g stream "
        "%d reduce %d layouts %d %d %d types %d %d in place %d poisoned %d place %d shifts",
        o->want, o->curvature, o->from, o->n, o->n_inner, o->block, o->weighted, o->weight_layout, o->weight_type,
        o->scale, o->stream, o->reduce, o->layout, o->target_layout, o->out_layout, o->target_type, o->out_type,
        o->in_place, o->poisoned, o->place);
    for (int r = 0; r < N_ROLES; r++) n += snprintf(situation + n, sizeof situation - (size_t)n, " %d", o->shift[r]);

    fl_job job = {.n_outer = full.outer,
                  .n_classes = p->n_classes,
                  .n_inner = full.inner,
                  .scale = o->scale,
                  .weight_unit = 1,
                  .want = o->want,
                  .curvature = o->curvature,
                  .stream = o->stream,
                  .check_target = rowwise || !o->weighted, /* as the driver has it: checked before */
                  .domain = domain_of(p, loss),
                  .n_coefficients = (int)p->n_coefficients,
                  .soft = p->target_kind == REAL_TARGET && rowwise,
                  .label_smoothing = p->label_smoothing,
                  .has_ignore_index = (int)p->has_ignore_index,
                  .ignore_index = p->ignore_index,
                  .full = p->kind == PACKED    ? FL_PACKED
                          : p->kind == PRODUCT ? FL_PRODUCT
                                               : FL_DIAGONAL};
    job.coefficients = p->coefficients;

    job.prediction = place_array(PREDICTION, o->prediction_type, full, o->layout, o->place, o->shift[PREDICTION]);
    for (ptrdiff_t r = 0; r < o->n; r++)
        for (ptrdiff_t k = 0; k < p->n_classes; k++)
            put(element(&job.prediction, full.inner, r, k), o->prediction_type,
                rounded_to(o->inputs, p->prediction[(o->from + r) * p->n_classes + k]));
    if (p->target_kind != NO_TARGET) {
        const ptrdiff_t width = target_width(p);
        job.target =
            place_array(TARGET, o->target_type, width == 1 ? one : full, o->target_layout, o->place, o->shift[TARGET]);
        for (ptrdiff_t r = 0; r < o->n; r++)
            for (ptrdiff_t k = 0; k < width; k++)
                put(element(&job.target, full.inner, r, k), o->target_type,
                    by_class ? p->target[o->from + r] : rounded_to(o->inputs, p->target[(o->from + r) * width + k]));
    }
    if (o->weighted) {
        const shape of_weight = sets ? full : one;
        job.weight = place_array(WEIGHT, o->weight_type, of_weight, o->weight_layout, o->place, o->shift[WEIGHT]);
        for (ptrdiff_t r = 0; r < o->n; r++)
            for (ptrdiff_t k = 0; k < of_weight.classes; k++)
                put(element(&job.weight, full.inner, r, k), o->weight_type, weight_at(p, o, o->from + r));
    }
    if (o->poisoned)
        for (ptrdiff_t r = 0; r < o->n; r++) {
            if (weight_at(p, o, o->from + r) != 0) continue;
            for (ptrdiff_t k = 0; k < p->n_classes; k++) {
                put(element(&job.prediction, full.inner, r, k), o->prediction_type, k % 2 ? INFINITY : NAN);
                if (k < target_width(p))
                    put(element(&job.target, full.inner, r, k), o->target_type,
                        by_class ? -7
                        : r % 2  ? NAN
                                 : -INFINITY);
            }
        }
    if (p->extra && p->kind == POINTWISE) {
        job.pos_weight = place_array(EXTRA, real_type, one, o->target_layout, o->place, o->shift[EXTRA]);
        for (ptrdiff_t r = 0; r < o->n; r++)
            put(element(&job.pos_weight, full.inner, r, 0), real_type, p->extra[o->from + r]);
    }
    if (p->kind == PRODUCT) {
        job.vector = place_array(EXTRA, real_type, full, o->target_layout, o->place, o->shift[EXTRA]);
        for (ptrdiff_t r = 0; r < o->n; r++)
            for (ptrdiff_t k = 0; k < p->n_classes; k++)
                put(element(&job.vector, full.inner, r, k), real_type, p->extra[(o->from + r) * p->n_classes + k]);
    }
    if (p->class_weight) {
        char *to = reserve(CLASS_WEIGHT, (size_t)p->n_classes * sizeof(double), o->place, 0);
        memcpy(to, p->class_weight, (size_t)p->n_classes * sizeof(double));
        job.class_weight = (const double *)(const void *)to;
    }
    const shape of_derivatives = {full.outer, p->width, full.inner};
    if ((o->want & FL_VALUE) && !o->reduce)
        job.value = place_array(VALUE_OUT, o->value_type, one, o->out_layout, o->place, o->shift[VALUE_OUT]);
    if (o->want & FL_GRADIENT) {
        if (o->in_place)
            job.gradient = job.prediction;
        else
            job.gradient =
                place_array(GRADIENT_OUT, o->out_type, of_derivatives, o->out_layout, o->place, o->shift[GRADIENT_OUT]);
    }
    if (o->want & FL_HESSIAN)
        job.hessian =
            place_array(HESSIAN_OUT, o->out_type, of_derivatives, o->out_layout, o->place, o->shift[HESSIAN_OUT]);
    if (loss->scratch) {
        const size_t bytes = (size_t)loss->scratch(&job);
        job.scratch = reserve(SCRATCH, bytes, o->place == PLAIN ? AT_END : o->place, 0);
        memset(job.scratch, 0xFF, bytes); /* nan, if read before it is written */
    }

    /* the check */
    double weight_sum = 0, weight_magnitude = 0;
    for (ptrdiff_t r = 0; r < o->n; r++) {
        double w = weight_at(p, o, o->from + r);
        if (by_class) {
            const double t = p->target[o->from + r];
            if (p->has_ignore_index && t == (double)p->ignore_index) continue;
            if (p->class_weight) w *= p->class_weight[(int)t];
        }
        weight_sum += w;
    }
    weight_magnitude = fabs(weight_sum);
    if (job.target.data && loss->check) {
        double total = 0;
        for (ptrdiff_t first = 0; first < o->n; first += o->block) {
            double checked[FL_CHECK_NUMBERS];
            const ptrdiff_t bad = loss->check(&job, first, first + o->block < o->n ? o->block : o->n - first, checked);
            if (bad >= 0) fail("nothing is bad, but %td", bad);
            total += checked[FL_WEIGHT_SUM];
        }
        if (!(fabs(total - weight_sum) <= 1e-13 * weight_magnitude))
            fail("weights: %.17g instead of %.17g", total, weight_sum);
    }

    /* the passes */
    job.set_values = out->of[0];
    if (loss->shared) job.shared = calloc(1, (size_t)loss->shared(&job));
    out->sum = 0;
    for (int i = 0; i < FL_PASSES; i++) {
        const fl_pass *pass = &loss->passes[i];
        if (!pass->block || (sets && i && !(pass->wants & o->want))) continue;
        const ptrdiff_t width = pass->width ? pass->width(&job) : 1, n_blocks = o->n ? (o->n - 1) / o->block + 1 : 1;
        double *partials = calloc((size_t)(width * n_blocks), sizeof(double));
        for (ptrdiff_t b = 0; b < n_blocks; b++) {
            const ptrdiff_t first = b * o->block, left = o->n - first;
            ptrdiff_t bad = pass->block(&job, first, o->block < left ? o->block : left, partials + b * width);
            if (bad >= 0) fail("nothing is bad, but %td", bad);
        }
        if (pass->combine) pass->combine(&job, partials, n_blocks);
        free(partials);
    }
    out->sum = job.total;
    free(job.shared);
    if (out->sum != 0 && (o->reduce ? !(o->want & FL_VALUE) : 1)) fail("a sum of %g where none is wanted", out->sum);

    /* outputs, canaries */
    const fl_array *arrays[] = {&job.value, &job.gradient, &job.hessian};
    static const enum role roles[] = {VALUE_OUT, GRADIENT_OUT, HESSIAN_OUT};
    static const char *const names[] = {"value", "gradient", "Hessian"};
    for (int i = 0; i < 3; i++) {
        const fl_array *a = arrays[i];
        if (!a->data) continue;
        const int narrowed = !is_real_type(p, a->type);
        const ptrdiff_t width = i ? p->width : 1;
        const interval *expected = p->expected[i < 2 ? i : EXACT + o->curvature];
        if (p->kind == PACKED || p->kind == PRODUCT) expected = p->expected[EXACT + o->curvature];
        if (o->inputs) expected = NULL;
        for (ptrdiff_t r = 0; r < o->n; r++) {
            const double w = weight_at(p, o, o->from + r);
            const double factor = i ? rounded(p, (own_weights && w != 0 ? 1 : w) * o->scale) : w;
            for (ptrdiff_t k = 0; k < width; k++) {
                char *at = element(a, full.inner, r, k);
                const double x = get(at, a->type);
                out->of[i][r * width + k] = x;
                /* terms of a window's sets, or of weighted ones, are others than those of the table */
                if (expected && !(sets && (o->weighted != own_weights || o->n != p->n)))
                    check_number(p, x, expected[(o->from + r) * width + k], factor, narrowed, names[i], o->from + r, k);
                else if (o->weighted && w == 0 && x != 0)
                    fail("%s of row %td is %g, though it weighs nothing", names[i], o->from + r, x);
                memset(at, PATTERN, type_size[a->type]);
            }
        }
        if (i == 1 && o->in_place) continue;
        const region *region = &regions[roles[i]];
        for (const char *c = region->canary; c < region->canary_end; c++)
            if (*c != PATTERN)
                fail("%s: wrote %td bytes after its end (begin %td)", names[i], c - region->data_end, c - region->data);
    }
    if (sets && p->expected[VALUE] && o->weighted == own_weights && o->n == p->n)
        for (ptrdiff_t k = 0; k < p->n_classes; k++)
            check_number(p, p->bits == 32 ? (double)(float)job.set_values[k] : job.set_values[k], p->expected[VALUE][k],
                         1, 0, "value", 0, k);
}

/* ---------------------------------------------------------------------------------- comparisons */

static int same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

static void add_to_digest(const problem *p, const options *o, const outcome *out)
{
    digest *d = current_digest();
    for (int i = 0; d && i < 3; i++)
        for (ptrdiff_t j = 0; (o->want & (1 << i)) && j < o->n * (i ? p->width : 1); j++)
            if (i || !o->reduce) take_digest(d, out->of[i][j]);
    if (d && o->reduce) take_digest(d, out->sum);
    for (ptrdiff_t k = 0; d && p->kind == SETS && k < p->n_classes; k++) take_digest(d, out->of[0][k]);
}

static void compare(const problem *p, const options *o, const outcome *a, const outcome *b, const char *what)
{
    static const char *const names[] = {"value", "gradient", "Hessian"};
    for (int i = 0; i < 3; i++) {
        if (!(o->want & (1 << i)) || (i == 0 && o->reduce)) continue;
        for (ptrdiff_t j = 0; j < o->n * (i ? p->width : 1); j++)
            if (!same_bits(a->of[i][j], b->of[i][j]))
                fail("%s %td: %a %s, but %a", names[i], j, a->of[i][j], what, b->of[i][j]);
    }
    if (o->reduce && !same_bits(a->sum, b->sum)) fail("sum: %a %s, but %a", a->sum, what, b->sum);
}

/* The sum of the values must be that of the values one by one. */
static void compare_sum(const problem *p, const options *o, const outcome *values, const outcome *reduced)
{
    long double sum = 0, magnitude = 0;
    for (ptrdiff_t r = 0; r < o->n; r++)
        sum += (long double)values->of[0][r], magnitude += fabsl((long double)values->of[0][r]);
    const double exact = (double)sum, eps = DBL_EPSILON * (8 + (double)o->n / 16);
    const int overflowed = p->bits == 64 && magnitude > (long double)DBL_MAX / 2;
    if (isnan(exact) ? isnan(reduced->sum)
                     : reduced->sum == exact || overflowed || fabs(reduced->sum - exact) <= eps * (double)magnitude)
        return;
    fail("sum: %.17g instead of %.17g", reduced->sum, exact);
}

static outcome new_outcome(const problem *p)
{
    outcome o = {0};
    const ptrdiff_t per_row = p->kind == SETS && p->n_classes > p->n ? p->n_classes : p->n;
    for (int i = 0; i < 3; i++) o.of[i] = calloc((size_t)(per_row * (i ? p->width : 1) + 1), sizeof(double));
    return o;
}

static void free_outcome(outcome *o)
{
    for (int i = 0; i < 3; i++) free(o->of[i]);
}

/* ---------------------------------------------------------------------------------- the runs of a problem */

static const int all_wants[] = {FL_VALUE, FL_GRADIENT, FL_VALUE | FL_GRADIENT, FL_GRADIENT | FL_HESSIAN,
                                FL_VALUE | FL_GRADIENT | FL_HESSIAN};
enum { N_WANTS = sizeof all_wants / sizeof *all_wants };

static options plain_options(const problem *p)
{
    const int real_type = p->bits == 32 ? FL_F32 : FL_F64;
    return (options){.n = p->n,
                     .prediction_type = real_type,
                     .value_type = real_type,
                     .n_inner = p->kind == POINTWISE ? p->n : 1,
                     .block = p->n + 1,
                     .scale = 1,
                     .layout = C_ORDER,
                     .weighted = has_own_weights(p),
                     .out_type = p->bits == 32 ? FL_F32 : FL_F64,
                     .target_type = p->target_kind == CLASS_TARGET ? FL_I64
                                    : p->bits == 32                ? FL_F32
                                                                   : FL_F64,
                     .weight_type = p->bits == 32 ? FL_F32 : FL_F64};
}

static void set_rows(const problem *p, options *o, ptrdiff_t from, ptrdiff_t n)
{
    o->from = from, o->n = n, o->block = n + 1;
    o->n_inner = p->kind == POINTWISE ? n : 1;
}

static int curvatures_of(const problem *p, int want)
{
    if (p->kind == PACKED || p->kind == PRODUCT) return 2;
    return want & FL_HESSIAN ? 3 : 1;
}

/* A type that holds all targets of the rows exactly. */
static int draw_target_type(const problem *p, const options *o)
{
    const int by_class = p->target_kind == CLASS_TARGET;
    const ptrdiff_t width = target_width(p);
    for (int attempt = 0; attempt < 8; attempt++) {
        const int type = (int)draw(by_class ? FL_U64 + 1 : FL_F64 + 1);
        int good = 1;
        for (ptrdiff_t j = o->from * width; good && j < (o->from + o->n) * width; j++) good = fits(type, p->target[j]);
        if (good) return type;
    }
    return by_class ? FL_I64 : FL_F64;
}

static ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Rows in other orders, types, blocks, with weights and scales, in place: anything that the driver may hand over. */
static void run_layouts(const problem *p, const fl_loss *loss, outcome *out, outcome *other)
{
    const ptrdiff_t lanes = 512 / p->bits;
    const int n_digested = 8; /* what runs in any case */
    for (int repeat = 0; repeat < (brief || p->fixed ? n_digested : 40); repeat++) {
        options o = plain_options(p);
        do o.want = all_wants[draw(N_WANTS)];
        while (!(p->wants >> o.want & 1));
        o.curvature = (int)draw((unsigned)curvatures_of(p, o.want));
        if (p->kind != SETS && draw(2)) {
            const ptrdiff_t from = draw((unsigned)p->n);
            set_rows(p, &o, from, 1 + draw((unsigned)(p->n - from)));
        }
        if (draw(3) == 0) o.n_inner = o.n;
        if (draw(3) == 0) o.n_inner = 1;
        if (draw(2)) {
            ptrdiff_t divisor = 1 + draw(9);
            if (o.n % divisor == 0) o.n_inner = draw(2) ? divisor : o.n / divisor;
        }
        o.block = draw(2) ? o.n + 1 : 1 + (ptrdiff_t)draw((unsigned)smaller(o.n, 300));
        if (o.n / o.block > 50) o.block = o.n / 50;
        if (p->target_kind != NO_TARGET && draw(2)) o.target_type = draw_target_type(p, &o);
        o.weighted = p->target_kind != NO_TARGET && draw(2);
        o.weighted |= has_own_weights(p);
        o.weight_layout = (int)draw(has_own_weights(p) ? SINGLE : N_LAYOUTS);
        o.weight_type = draw(2) ? o.weight_type : draw(2) ? (int)draw(FL_F64 + 1) : FL_F32 + (int)draw(2);
        if (o.weight_type == FL_BOOL) o.weight_type = FL_U8;
        const int takes_anything = p->target_kind == CLASS_TARGET ? o.target_type == FL_I64 : o.target_type >= FL_F32;
        o.poisoned = o.weighted && o.weight_layout != SINGLE && takes_anything && draw(2);
        o.scale = p->target_kind == NO_TARGET || draw(2) ? 1 : draw(2) ? 0.25 : 1.0 / 700;
        o.stream = (int)draw(2);
        o.layout = draw(3) ? (int)draw(SINGLE) : C_ORDER;
        o.out_layout = draw(2) ? o.layout : (int)draw(SINGLE);
        o.target_layout = draw(2) ? C_ORDER : (int)draw(SINGLE);
        o.place = (int)draw(3);
        for (int r = 0; r < N_ROLES; r++) o.shift[r] = draw(2) ? 0 : (int)draw((unsigned)lanes);
        const int gradient_like = (o.want & FL_GRADIENT) && p->width == p->n_classes && p->kind != PRODUCT;
        if (gradient_like && draw(6) == 0) o.in_place = 1, o.out_layout = o.layout;
        /* narrower derivatives: of rows only where the driver does not copy */
        const int may_narrow =
            p->kind == POINTWISE || (p->n_classes <= 64 && (o.out_layout == C_ORDER || o.out_layout == PADDED_ROWS));
        if (p->bits == 64 && !o.in_place && p->kind <= ROWS && may_narrow && draw(4) == 0) o.out_type = FL_F32;
        run(p, loss, &o, out);
        if (repeat < n_digested) add_to_digest(p, &o, out);
        if ((o.want & FL_VALUE) && p->kind != SETS) {
            /* its own sum, block by block */
            options reduced = o;
            reduced.reduce = 1;
            run(p, loss, &reduced, other);
            compare_sum(p, &o, out, other);
            if (repeat < n_digested) add_to_digest(p, &reduced, other);
        }
    }
}

/* Whether targets of such a type stay what they are: finite, and 0 only if they are. */
static int holds_targets(const problem *p, int type)
{
    if (p->target_kind == NO_TARGET || p->target_kind == CLASS_TARGET) return 1;
    for (ptrdiff_t i = 0; i < p->n * target_width(p); i++) {
        const double x = p->target[i], y = rounded_to(type, x);
        if (isfinite(x) && (!isfinite(y) || (y == 0) != (x == 0))) return 0;
    }
    return 1;
}

/* Halves, at either end: what is calculated of the same numbers as reals, rounded once. */
static void run_halves(const problem *p, const fl_loss *loss, outcome *out, outcome *other)
{
    if (p->bits != 32 || p->kind > ROW_FUNCTION) return;
    for (int repeat = 0; repeat < (brief ? 4 : 12); repeat++) {
        options o = plain_options(p);
        do o.want = all_wants[draw(N_WANTS)];
        while (!(p->wants >> o.want & 1));
        o.curvature = (int)draw((unsigned)curvatures_of(p, o.want));
        o.inputs = draw(2) ? FL_F16 : FL_BF16;
        if (!holds_targets(p, o.inputs)) continue;
        if (draw(2)) {
            const ptrdiff_t from = draw((unsigned)p->n);
            set_rows(p, &o, from, 1 + draw((unsigned)(p->n - from)));
        }
        if (p->kind != POINTWISE && draw(3) == 0) o.n_inner = o.n;
        o.block = draw(2) ? o.n + 1 : 1 + (ptrdiff_t)draw((unsigned)smaller(o.n, 300));
        if (o.n / o.block > 50) o.block = o.n / 50;
        o.layout = draw(3) ? C_ORDER : (int)draw(SINGLE);
        o.out_layout = draw(2) ? o.layout : (int)draw(SINGLE);
        o.stream = (int)draw(2), o.place = (int)draw(3);
        o.weighted = p->target_kind != NO_TARGET && draw(2);
        o.scale = p->target_kind == NO_TARGET || draw(2) ? 1 : 1.0 / 700;
        for (int r = 0; r < N_ROLES; r++) o.shift[r] = (int)draw(16);
        run(p, loss, &o, out);
        options half = o;
        half.prediction_type = half.out_type = half.value_type = o.inputs;
        if (p->target_kind != NO_TARGET && p->target_kind != CLASS_TARGET && draw(2)) half.target_type = o.inputs;
        if (draw(3) == 0) half.out_type = half.value_type = FL_F32;
        half.in_place = (o.want & FL_GRADIENT) && half.out_type == o.inputs && o.out_layout == o.layout && draw(3) == 0;
        run(p, loss, &half, other);
        for (int i = 0; i < 3; i++)
            for (ptrdiff_t j = 0; (o.want & 1 << i) && j < o.n * (i ? p->width : 1); j++)
                out->of[i][j] = rounded_to(i ? half.out_type : half.value_type, out->of[i][j]);
        compare(p, &half, other, out, "of halves");
    }
}

/* Every number of rows up to four vectors, and every alignment: the same bits wherever the arrays stand. */
static void run_places(const problem *p, const fl_loss *loss, const outcome *whole, int want, int curvature,
                       outcome *out, outcome *other)
{
    const ptrdiff_t lanes = 512 / p->bits;
    const ptrdiff_t most = p->kind == SETS ? 0 : smaller(p->n, 4 * lanes);
    /* all of them where a row is short, and for one curvature: the others differ in the formula alone */
    const ptrdiff_t some = p->width > 8 || curvature > 0 || brief;
    for (ptrdiff_t n = p->kind == SETS ? p->n : 0; n <= (p->kind == SETS ? p->n : most); n += some && n > 2 ? 7 : 1) {
        options o = plain_options(p);
        o.want = want, o.curvature = curvature;
        o.stream = (int)(n & 1);
        if (p->kind != SETS) set_rows(p, &o, 0, n);
        run(p, loss, &o, out);
        if (whole) compare(p, &o, out, whole, "of these rows alone");
        options reduced = o;
        reduced.reduce = 1;
        if ((want & FL_VALUE) && p->kind != SETS) {
            run(p, loss, &reduced, other);
            compare_sum(p, &o, out, other);
            out->sum = other->sum;
        }
        for (enum place place = AT_END; place <= AT_BEGIN; place++) {
            o.place = reduced.place = place;
            o.reduce = 0;
            options *which = (want & FL_VALUE) && p->kind != SETS && (n + (int)place) % 2 ? &reduced : &o;
            run(p, loss, which, other);
            compare(p, which, other, out, place == AT_END ? "before the page" : "after the page");
        }
    }
    options o = plain_options(p);
    o.want = want, o.curvature = curvature;
    if (p->kind != SETS) set_rows(p, &o, 0, smaller(p->n, some ? 3 : 2 * lanes + 3));
    run(p, loss, &o, out);
    o.place = AT_BEGIN;
    for (int shift = 1; shift < lanes; shift += brief ? 5 : 1) {
        for (int r = 0; r < N_ROLES; r++) o.shift[r] = shift * (r + 1) % (int)lanes;
        o.stream = shift & 1;
        run(p, loss, &o, other);
        compare(p, &o, other, out, "at another alignment");
        for (int r = 0; r < N_ROLES; r++) o.shift[r] = shift;
        o.stream = !o.stream;
        run(p, loss, &o, other);
        compare(p, &o, other, out, "at another alignment");
    }
}

/* Targets and weights that break their rule: the first of them is told, before anything is written. */
static void run_bad(const problem *p, const fl_loss *loss)
{
    const int by_class = p->target_kind == CLASS_TARGET, rowwise = p->kind != POINTWISE;
    const int real_type = p->bits == 32 ? FL_F32 : FL_F64;
    const int float_rule = !by_class && loss->domain != FL_ANY;
    const double low = p->bits == 32 ? FLT_TRUE_MIN : DBL_TRUE_MIN;
    const double bad_reals[] = {-low, 1 + (p->bits == 32 ? FLT_EPSILON : DBL_EPSILON), NAN, INFINITY, -INFINITY, -1, 2,
                                0};
    const double bad_classes[] = {
        -1, (double)p->n_classes, 2147483648., -2147483649., (double)p->n_classes + 1, 4294967296., 1e19};
    const double bad_weights[] = {-low, NAN, INFINITY, -INFINITY, -1};
    const ptrdiff_t n = smaller(p->n, 700), width = target_width(p);
    if (p->target_kind == NO_TARGET || p->kind == PRODUCT || has_own_weights(p)) return;

    for (int repeat = 0; repeat < 40; repeat++) {
        snprintf(situation, sizeof situation, "bad elements, round %d", repeat);
        const int weighted = repeat % 2, bad_weight = repeat % 4 == 3,
                  target_is_bad = !bad_weight && (by_class || float_rule);
        const int single_column = p->kind == POINTWISE && draw(2);
        const ptrdiff_t inner = !single_column && !rowwise ? n : n % 2 == 0 && draw(4) == 0 ? 2 : 1;
        const shape full = {n / inner, p->n_classes, inner};
        const shape one = {full.outer, 1, full.inner};
        const int layout = draw(2) ? draw(2) ? WITH_GAPS : F_ORDER : C_ORDER;
        fl_job job = {.n_outer = full.outer,
                      .n_classes = p->n_classes,
                      .n_inner = full.inner,
                      .scale = 1,
                      .weight_unit = 1,
                      .check_target = 1};
        job.full = p->kind == PACKED ? FL_PACKED : FL_DIAGONAL;
        job.want = p->wants >> FL_GRADIENT & 1 ? FL_GRADIENT : FL_VALUE;
        job.domain = domain_of(p, loss), job.n_coefficients = (int)p->n_coefficients;
        job.soft = rowwise && p->target_kind == REAL_TARGET;
        job.has_ignore_index = (int)p->has_ignore_index, job.ignore_index = p->ignore_index;
        job.coefficients = p->coefficients;
        job.prediction = place_array(PREDICTION, real_type, full, C_ORDER, AT_END, 0);
        const int target_type =
            by_class ? (int[]){FL_I64, FL_I64, FL_I32, FL_U64}[draw(p->ignore_index < 0 ? 3 : 4)] : real_type;
        job.target = place_array(TARGET, target_type, width == 1 ? one : full, layout, AT_END, 0);
        if (weighted) job.weight = place_array(WEIGHT, real_type, p->kind == SETS ? full : one, C_ORDER, AT_END, 0);
        for (ptrdiff_t r = 0; r < n; r++)
            for (ptrdiff_t k = 0; k < p->n_classes; k++) {
                put(element(&job.prediction, full.inner, r, k), real_type, p->prediction[r * p->n_classes + k]);
                if (k < width) put(element(&job.target, full.inner, r, k), target_type, p->target[r * width + k]);
                if (weighted && (p->kind == SETS || k == 0)) put(element(&job.weight, full.inner, r, k), real_type, 1);
            }
        /* two bad ones of one class, before them one that weighs nothing; now and then at both ends */
        const int at_ends = repeat % 8 < 2 || repeat % 8 == 7;
        const ptrdiff_t second = at_ends ? n - 1 : draw((unsigned)n), first = at_ends ? 0 : draw((unsigned)second + 1),
                        skipped = draw((unsigned)first + 1);
        const ptrdiff_t k = (ptrdiff_t)draw((unsigned)width);
        ptrdiff_t expected = -1, expected_weight = -1;
        if (target_is_bad) {
            for (int which = 0; which < 3; which++) {
                double x = by_class ? bad_classes[draw(sizeof bad_classes / sizeof(double))]
                                    : bad_reals[draw(loss->domain == FL_POSITIVE ? 8 : 7)];
                if (loss->domain != FL_UNIT_INTERVAL && !by_class && (x >= 1 && isfinite(x))) x = NAN;
                if (target_type == FL_I32 && !fits(FL_I32, x)) x = -1;
                if (target_type == FL_U64 && x < 0) x = 1e19;
                if (target_type == FL_I64 && x > 9e18) x = -1;
                if (by_class && p->has_ignore_index && x == (double)p->ignore_index) x = (double)p->n_classes;
                const ptrdiff_t row = which == 0 ? second : which == 1 ? first : skipped;
                if (which == 2 && (!weighted || skipped == first)) continue;
                put(element(&job.target, full.inner, row, k), target_type, x);
                if (which == 2) put(element(&job.weight, full.inner, row, k * (p->kind == SETS)), real_type, 0);
            }
            expected = first;
        } else if (bad_weight) {
            put(element(&job.weight, full.inner, second, 0), real_type, bad_weights[draw(5)]);
            put(element(&job.weight, full.inner, first, 0), real_type, bad_weights[draw(5)]);
            expected_weight = first;
        }
        const size_t bytes = loss->scratch ? (size_t)loss->scratch(&job) : 0;
        if (bytes) job.scratch = memset(reserve(SCRATCH, bytes, AT_END, 0), 0xFF, bytes);
        const ptrdiff_t position =
            expected < 0 ? -1 : (expected / full.inner * width + k) * full.inner + expected % full.inner;
        const ptrdiff_t answer = expected_weight < 0 ? position : fl_bad_weight(expected_weight);
        double *sums =
            calloc((size_t)(p->kind == SETS ? loss->passes[0].width(&job) : FL_CHECK_NUMBERS), sizeof(double));
        const ptrdiff_t checked = (loss->check ? loss->check : loss->passes[0].block)(&job, 0, n, sums);
        free(sums);
        if (p->kind == SETS) { /* class after class: not the first of all */
            if ((checked >= 0) != (answer >= 0) || (checked >= fl_bad_weight(0)) != (answer >= fl_bad_weight(0)))
                fail("%td instead of %td", checked, answer);
            continue;
        }
        if (checked != answer) fail("%td instead of %td (of %td, %td)", checked, answer, first, second);
        if (by_class || bad_weight || (weighted && !rowwise)) continue;
        const shape of_value = {full.outer, job.want == FL_VALUE ? 1 : p->width, full.inner};
        fl_array *out = job.want == FL_VALUE ? &job.value : &job.gradient;
        *out = place_array(GRADIENT_OUT, real_type, of_value, C_ORDER, AT_END, 0);
        double sum;
        const ptrdiff_t found = loss->passes[0].block(&job, 0, n, &sum);
        if (found != position) fail("bad target: %td instead of %td", found, position);
    }
}

/* Outputs of the first instruction set with fused multiply-add, for the others to agree with. */
typedef struct memory {
    outcome outcomes[N_WANTS][3];
    const char *isa;
} memory;

static void run_problem(const problem *p, const fl_loss *loss, memory *fused)
{
    outcome out = new_outcome(p), other = new_outcome(p);
    digest *d = current_digest();
    if (d) d->n_problems++;
    start_draws(p);
    for (int i = 0; i < N_WANTS; i++) {
        if (!(p->wants >> all_wants[i] & 1)) continue;
        for (int curvature = 0; curvature < curvatures_of(p, all_wants[i]); curvature++) {
            options o = plain_options(p);
            o.want = all_wants[i], o.curvature = curvature;
            outcome whole = new_outcome(p);
            run(p, loss, &o, &whole);
            add_to_digest(p, &o, &whole);
            if (strcmp(isa, "baseline") != 0) {
                outcome *kept = &fused->outcomes[i][curvature];
                if (kept->of[0])
                    compare(p, &o, &whole, kept, fused->isa);
                else {
                    *kept = new_outcome(p), fused->isa = isa;
                    for (int j = 0; j < 3; j++)
                        memcpy(kept->of[j], whole.of[j], (size_t)(p->n * (j ? p->width : 1)) * sizeof(double));
                }
            }
            for (o.stream = 0; p->target_kind != NO_TARGET && o.stream < 2; o.stream++) {
                o.weighted = 1, o.poisoned = o.stream;
                run(p, loss, &o, &out);
            }
            if (!p->fixed) run_places(p, loss, p->kind == SETS ? NULL : &whole, all_wants[i], curvature, &out, &other);
            free_outcome(&whole);
        }
    }
    run_layouts(p, loss, &out, &other);
    run_halves(p, loss, &out, &other);
    if (!p->fixed) run_bad(p, loss);
    free_outcome(&out), free_outcome(&other);
}

/* ---------------------------------------------------------------------------------- the table */

static void *read_numbers(FILE *file, size_t n)
{
    void *to = malloc(n * sizeof(double) + 1);
    if (!to || fread(to, sizeof(double), n, file) != n) {
        fprintf(stderr, "the table ends too early\n");
        exit(4);
    }
    return to;
}

static int read_problem(FILE *file, problem *p)
{
    int64_t header[18];
    const size_t n_read = fread(header, sizeof *header, 18, file);
    if (n_read == 0) return 0;
    if (n_read != 18 || header[0] != MAGIC) {
        fprintf(stderr, "not a table\n");
        exit(4);
    }
    *p = (problem){.bits = header[1],
                   .kind = header[2],
                   .n = header[3],
                   .n_classes = header[4],
                   .target_kind = header[5],
                   .wants = header[6],
                   .has_ignore_index = header[7],
                   .ignore_index = header[8],
                   .fixed = header[16],
                   .n_coefficients = header[17]};
    if (fread(p->name, 1, 32, file) != 32) exit(4);
    double *numbers = read_numbers(file, COEFFICIENTS + 1);
    memcpy(p->coefficients, numbers, sizeof p->coefficients);
    p->label_smoothing = numbers[COEFFICIENTS];
    free(numbers);
    const size_t n = (size_t)p->n, all = (size_t)(p->n * p->n_classes);
    p->width = p->kind == PACKED ? p->n_classes * (p->n_classes + 1) / 2 : p->n_classes;
    p->prediction = read_numbers(file, all);
    if (p->target_kind != NO_TARGET) p->target = read_numbers(file, n * (size_t)target_width(p));
    if (header[9]) p->class_weight = read_numbers(file, (size_t)p->n_classes);
    if (header[10]) p->extra = read_numbers(file, p->kind == PRODUCT ? all : n);
    for (int i = 0; i < N_OUTPUTS; i++)
        if (header[11 + i]) p->expected[i] = read_numbers(file, 2 * (size_t)header[11 + i]);
    return 1;
}

static void free_problem(problem *p)
{
    free(p->prediction), free(p->target), free(p->class_weight), free(p->extra);
    for (int i = 0; i < N_OUTPUTS; i++) free(p->expected[i]);
}

int main(int argc, char **argv)
{
    const char *only_isa = NULL, *old_digests = NULL, *new_digests = NULL;
    int only_bits = 0, partial = 0, n_problems = 0, seen_losses = 0;
    if (argc < 2) return fprintf(stderr, "usage: %s TABLE ... (see the head of harness.c)\n", argv[0]), 4;
    char **tables = argv + 1;
    int n_tables = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--isa") && i + 1 < argc)
            only_isa = argv[++i];
        else if (!strcmp(argv[i], "--bits") && i + 1 < argc)
            only_bits = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--digests") && i + 1 < argc)
            old_digests = argv[++i];
        else if (!strcmp(argv[i], "--new-digests") && i + 1 < argc)
            new_digests = argv[++i];
        else if (!strcmp(argv[i], "--partial"))
            partial = 1;
        else if (!strcmp(argv[i], "--brief"))
            brief = 1;
        else
            tables[n_tables++] = argv[i];
    }
#ifndef USE_MALLOC
    signal(SIGSEGV, on_fault), signal(SIGBUS, on_fault), signal(SIGILL, on_fault), signal(SIGFPE, on_fault);
#else
    (void)on_fault;
#endif
    char seen[64][32] = {{0}};
    problem p;
    current = &p;
    for (int t = 0; t < n_tables; t++) {
        FILE *file = fopen(tables[t], "rb");
        if (!file) return perror(tables[t]), 4;
        while (read_problem(file, &p)) {
            memory fused = {0};
            if (seen_losses == 0 || strcmp(seen[seen_losses - 1], p.name) != 0) {
                int known = 0;
                for (int i = 0; i < seen_losses; i++) known |= !strcmp(seen[i], p.name);
                if (!known && seen_losses < 64) memcpy(seen[seen_losses++], p.name, 32);
            }
            int used = 0;
            for (int i = 0; (isa = fl_isa(i)) && (!only_bits || only_bits == p.bits); i++) {
                if (only_isa && strcmp(isa, only_isa) != 0) continue;
                const fl_kernels *kernels = fl_select(isa, (int)p.bits);
                const fl_loss *loss = NULL;
                for (int j = 0; kernels->losses[j]; j++)
                    if (!strcmp(kernels->losses[j]->name, p.name)) loss = kernels->losses[j];
                if (!loss && partial) continue;
                if (!loss) isa = "", fail("there is no such kernel");
                run_problem(&p, loss, &fused);
                used = 1;
            }
            n_problems += used;
            for (int i = 0; i < N_WANTS; i++)
                for (int j = 0; j < 3; j++) free_outcome(&fused.outcomes[i][j]);
            free_problem(&p);
        }
        fclose(file);
    }
#ifdef USE_MALLOC
    for (int r = 0; r < N_ROLES; r++) free(regions[r].begin);
#endif
    /* every loss of the kernels was in the table, but for those of rows that belong together (tests/test_segments.py) */
    for (int i = 0; !partial && (isa = fl_isa(i)); i++) {
        const fl_kernels *kernels = fl_select(isa, 64);
        for (int j = 0; kernels->losses[j]; j++) {
            int known = kernels->losses[j]->kind == FL_SEGMENTS;
            for (int k = 0; k < seen_losses; k++) known |= !strcmp(seen[k], kernels->losses[j]->name);
            if (!known) return fprintf(stderr, "nothing in the table is for %s\n", kernels->losses[j]->name), 1;
        }
        printf("%s: %zu losses\n", isa, (size_t)seen_losses);
    }
    if (!n_problems) return fprintf(stderr, "nothing was run\n"), 4;
    printf("%d problems\n", n_problems);
    if (new_digests) return write_digests(new_digests);
    return old_digests ? check_digests(old_digests, partial || only_bits) : 0;
}
