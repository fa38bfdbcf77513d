/* Every kernel, for one instruction set and one real type: compiled once for each pair, with
 *     -DFL_ISA=<baseline|x86_v3|x86_v4|neon> -DFL_REAL=<32|64>
 * and the flags of that instruction set. Exports one table and nothing else.
 */
#include "fastloss.h"
#include "simd.h"

#include "pointwise.h"
#include "rows.h"
#include "columns.h"
#include "ranks.h"
#include "sets.h"
#include "segments.h"
#include "descent.h"
#define FL_FORMULAS
#include "losses.def"
#undef FL_FORMULAS

static const fl_loss *const losses[] = {
#define LOSS(name) &name##_loss,
#include "losses.def"
#undef LOSS
    NULL};

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define TABLE PASTE(PASTE(fl_kernels_, FL_ISA), PASTE(_f, FL_REAL))

extern const fl_kernels TABLE __attribute__((visibility("hidden")));
const fl_kernels TABLE = {
    .isa = STRING(FL_ISA),
    .losses = losses,
    .turn = turn,
#if FL_REAL == 64
    .columns = {column_products, column_moments, column_scores, descend, add_squares, ascend, ascend_classes},
#endif
};
