/* Columns of a matrix, dense or sparse, and one round of coordinate descent over them.
 *
 * What is minimised is a quadratic model, by the coefficients of some columns x_j and a constant s:
 *
 *     sum_i q_i d_i + h_i d_i^2 / 2  +  sum_j l1_j |c_j| + l2_j c_j^2 / 2,    d_i = the change of sum_j c_j x_ij + s
 *
 * The slope q + h d is kept up to date but for h s, which is in all rows: sparse columns stay sparse though s is at its minimum
 * after each step. Eliminated so, it centres the columns about their mean with weights h (Friedman, Hastie and Tibshirani 2010).
 */
#ifndef FASTLOSS_DESCENT_H
#define FASTLOSS_DESCENT_H

#include "fastloss.h"
#include "simd.h"

#if FL_REAL == 64

enum { AHEAD = 4 * GROUP, AT_ONCE = AHEAD * WIDTH }; /* sums that do not wait for each other */

static double dense_product(const double *x, const double *v, ptrdiff_t n)
{
    vreal sums[AHEAD];
    double rest = 0, total = 0;
    ptrdiff_t i = 0;
    for (int k = 0; k < AHEAD; k++) sums[k] = ZERO;
    for (; i + AT_ONCE <= n; i += AT_ONCE)
        for (int k = 0; k < AHEAD; k++) sums[k] = fmadd(load(x + i + k * WIDTH), load(v + i + k * WIDTH), sums[k]);
    for (; i < n; i++) rest += x[i] * v[i];
    for (int k = 1; k < AHEAD; k++) sums[0] += sums[k];
    for (int j = 0; j < WIDTH; j++) total += sums[0][j];
    return total + rest;
}

static double sparse_product(const double *x, const int32_t *row, const double *v, ptrdiff_t n)
{
    double a = 0, b = 0, c = 0, d = 0;
    ptrdiff_t i = 0;
    for (; i + 4 <= n; i += 4) {
        a += x[i] * v[row[i]], b += x[i + 1] * v[row[i + 1]];
        c += x[i + 2] * v[row[i + 2]], d += x[i + 3] * v[row[i + 3]];
    }
    for (; i < n; i++) a += x[i] * v[row[i]];
    return (a + b) + (c + d);
}

typedef struct column {
    const double *x;
    const int32_t *row; /* NULL: dense */
    ptrdiff_t n;
} column;

ALWAYS_INLINE column column_of(const fl_columns *all, ptrdiff_t k)
{
    int64_t j = all->which ? all->which[k] : all->first + k;
    if (!all->rows) return (column){all->data + j * all->n_rows, NULL, all->n_rows};
    int64_t at = all->starts[j];
    return (column){all->data + at, all->rows + at, all->starts[j + 1] - at};
}

ALWAYS_INLINE double product(column c, const double *v)
{
    return c.row ? sparse_product(c.x, c.row, v, c.n) : dense_product(c.x, v, c.n);
}

/* out_j = sum_i x_ij v_i */
static void column_products(const fl_columns *all, const double *v, double *out)
{
    for (ptrdiff_t k = 0; k < all->n; k++) out[k] = product(column_of(all, k), v);
}

/* sum_j = sum_i h_i x_ij and square_j = sum_i h_i x_ij^2 */
static void column_moments(const fl_columns *all, const double *h, double *sum, double *square)
{
    for (ptrdiff_t k = 0; k < all->n; k++) {
        column c = column_of(all, k);
        double first = 0, second = 0;
        for (ptrdiff_t i = 0; i < c.n; i++) {
            double part = h[c.row ? c.row[i] : i] * c.x[i];
            first += part, second += part * c.x[i];
        }
        sum[k] = first, square[k] = second;
    }
}

/* z_i += sum_j x_ij coef_j */
static void column_scores(const fl_columns *all, const double *coef, double *z)
{
    for (ptrdiff_t k = 0; k < all->n; k++) {
        column c = column_of(all, k);
        if (coef[k] == 0) continue;
        if (c.row)
            for (ptrdiff_t i = 0; i < c.n; i++) z[c.row[i]] += coef[k] * c.x[i];
        else
            for (ptrdiff_t i = 0; i < c.n; i++) z[i] += coef[k] * c.x[i];
    }
}

static void move_slope(column c, const double *h, double step, double *slope)
{
    ptrdiff_t i = 0;
    if (c.row) {
        for (; i < c.n; i++) slope[c.row[i]] += step * c.x[i] * h[c.row[i]];
        return;
    }
    for (; i + WIDTH <= c.n; i += WIDTH)
        store(slope + i, fmadd(splat(step) * load(c.x + i), load(h + i), load(slope + i)));
    for (; i < c.n; i++) slope[i] += step * c.x[i] * h[i];
}

/* A step in each coordinate; the largest derivative that one of them had left, over its limit. */
static double descend(fl_descent *d)
{
    double largest = 0;
    for (ptrdiff_t k = 0; k < d->x.n; k++) {
        column c = column_of(&d->x, k);
        double before = d->coef[k], curvature = d->curvature[k] + d->l2[k];
        if (!(curvature > 0)) continue;
        double slope = product(c, d->slope) + d->shift * d->sum[k] + d->l2[k] * before;
        double goal = curvature * before - slope, size = __builtin_fabs(goal) - d->l1[k];
        double after = size > 0 ? __builtin_copysign(size, goal) / curvature : 0, step = after - before;
        if (step == 0) continue;
        double violation = __builtin_fabs(step) * curvature / d->limit[k];
        largest = violation > largest ? violation : largest;
        d->coef[k] = after;
        move_slope(c, d->h, step, d->slope);
        if (d->total > 0) d->shift -= step * d->sum[k] / d->total;
    }
    return largest;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return *state = x;
}

static void add_column(column c, double step, double *to)
{
    ptrdiff_t i = 0;
    if (c.row) {
        for (; i < c.n; i++) to[c.row[i]] += step * c.x[i];
        return;
    }
    for (; i + WIDTH <= c.n; i += WIDTH) store(to + i, fmadd(splat(step), load(c.x + i), load(to + i)));
    for (; i < c.n; i++) to[i] += step * c.x[i];
}

/* Rows with the loss max_u u (z - kink) - flat |u| over low <= u <= high, an interval about 0. In rounds over them, each in a
 * random order, every dual u goes to where the dual problem's value is largest, and coefficients
 *
 *     -sum_i u_i (x_i - centre) / l2     and the constant     c - sum_i u_i / of_constant
 *
 * follow. Rows at an end that the slope pushes against by more than all others moved in the round before are put away (Hsieh et
 * al. 2008). Returns the largest slope of the last round that was left. */
static double ascend(fl_ascent *a, int rounds)
{
    double largest = 0, away = __builtin_inf();
    a->x.which = a->order;
    for (int round = 0; round < rounds; round++) {
        double before = away;
        largest = 0, away = 0;
        for (ptrdiff_t k = 0; k < a->n_moving; k++) {
            ptrdiff_t other = k + (ptrdiff_t)(next_random(&a->state) % (uint64_t)(a->n_moving - k));
            int64_t i = a->order[other];
            a->order[other] = a->order[k], a->order[k] = i;
            column c = column_of(&a->x, k);
            double u = a->dual[i], along = a->along ? a->along[i] : 0, curvature = a->curvature[i];
            double z = product(c, a->coef) - a->centre + a->sum / a->l2 * (along - a->of_centre);
            double slope = z + a->constant - a->sum / a->of_constant - a->kink[i];
            double free = u * curvature + slope, size = __builtin_fabs(free) - a->flat;
            double end = size > 0 ? __builtin_copysign(size, free) / curvature : 0;
            int beyond = end >= a->high[i] ? end > a->high[i] : end < a->low[i];
            end = end > a->high[i] ? a->high[i] : end < a->low[i] ? a->low[i] : end;
            double step = end - u;
            if (step == 0) {
                double excess = free - u * curvature - (u > 0 ? a->flat : -a->flat);
                if (beyond && __builtin_fabs(excess) > before) {
                    a->order[k] = a->order[--a->n_moving], a->order[a->n_moving] = i;
                    k--;
                }
                continue;
            }
            double moved = __builtin_fabs(step) * curvature;
            largest = moved > largest ? moved : largest;
            a->dual[i] = end;
            a->sum += step;
            a->centre -= step / a->l2 * along;
            add_column(c, -step / a->l2, a->coef);
        }
        away = largest;
        if (largest <= a->bound) break;
    }
    return largest;
}

/* Scores of a row in all classes, whose coefficients stand side by side: out_k = sum_j x_j coef_jk. */
static void row_scores(column c, const double *coef, ptrdiff_t stride, double *out)
{
    ptrdiff_t k = 0;
    for (; k + WIDTH <= stride; k += WIDTH) {
        vreal even = ZERO, odd = ZERO;
        ptrdiff_t i = 0;
        for (; i + 2 <= c.n; i += 2) {
            even = fmadd(splat(c.x[i]), load(coef + (c.row ? c.row[i] : i) * stride + k), even);
            odd = fmadd(splat(c.x[i + 1]), load(coef + (c.row ? c.row[i + 1] : i + 1) * stride + k), odd);
        }
        if (i < c.n) even = fmadd(splat(c.x[i]), load(coef + (c.row ? c.row[i] : i) * stride + k), even);
        store(out + k, even + odd);
    }
    for (; k < stride; k++) {
        out[k] = 0;
        for (ptrdiff_t i = 0; i < c.n; i++) out[k] += c.x[i] * coef[(c.row ? c.row[i] : i) * stride + k];
    }
}

/* The t of which sum_k max(v_k - t, 0) is `total` (Michelot 1986): elements below it leave until none does. `left` gets those that
 * stay, whose number is returned. */
static ptrdiff_t threshold(const double *v, ptrdiff_t n, double total, int32_t *left, double *t)
{
    ptrdiff_t n_left = n, before = n + 1;
    for (ptrdiff_t k = 0; k < n; k++) left[k] = (int32_t)k;
    while (n_left < before) {
        double sum = -total;
        for (ptrdiff_t k = 0; k < n_left; k++) sum += v[left[k]];
        before = n_left, *t = sum / (double)n_left, n_left = 0;
        for (ptrdiff_t k = 0; k < before; k++)
            if (v[left[k]] > *t) left[n_left++] = left[k];
        if (n_left == 0) return before; /* all the same, but for what was rounded */
    }
    return n_left;
}

/* The same for rows with the loss max_k (z_k + margin [k != y]) - z_y of all classes (Crammer and Singer 2001), times a weight: the
 * duals of a row are >= 0 and add up to its weight, and the dual problem's value is largest at a projection onto these. With what
 * is subtracted at y they take the place of u above, in each class. */
static double ascend_classes(fl_class_ascent *a, int rounds)
{
    double largest = 0, away = __builtin_inf(), *z = a->scratch, *step = z + a->stride;
    int32_t *left = (int32_t *)(step + a->stride), *stepped = left + a->stride;
    a->x.which = a->order;
    for (int round = 0; round < rounds; round++) {
        double before = away;
        largest = 0, away = 0;
        for (ptrdiff_t m = 0; m < a->n_moving; m++) {
            ptrdiff_t other = m + (ptrdiff_t)(next_random(&a->state) % (uint64_t)(a->n_moving - m)), y, n_left,
                      n_steps = 0;
            int64_t i = a->order[other];
            a->order[other] = a->order[m], a->order[m] = i;
            column c = column_of(&a->x, m);
            double *u = a->dual + i * a->n_classes, along = a->along[i], curvature = a->curvature[i],
                   weight = a->weight[i];
            double t = 0, most = 0, second = -__builtin_inf();
            row_scores(c, a->coef, a->stride, z);
            y = a->target[i];
            for (ptrdiff_t k = 0; k < a->n_classes; k++) {
                double slope = z[k] - a->centre[k] + a->sum[k] / a->l2 * (along - a->of_centre);
                slope += a->constant[k] - a->sum[k] / a->of_constant + (k == y ? 0 : a->margin);
                if (a->offset) slope += a->offset[i * a->n_classes + k];
                z[k] = u[k] + slope / curvature;
            }
            n_left = threshold(z, a->n_classes, weight, left, &t);
            if (n_left == 1 && u[left[0]] == weight) { /* where the row is sure of a class, and was */
                for (ptrdiff_t k = 0; k < a->n_classes; k++)
                    if (k != left[0] && z[k] > second) second = z[k];
                if ((z[left[0]] - weight - second) * curvature > before) {
                    a->order[m] = a->order[--a->n_moving], a->order[a->n_moving] = i;
                    m--;
                }
                continue;
            }
            for (ptrdiff_t k = 0, at = 0; k < a->n_classes; k++) {
                double end = 0;
                if (at < n_left && left[at] == k) end = n_left == 1 ? weight : z[k] - t, at++;
                double change = end - u[k], size = __builtin_fabs(change);
                most = size > most ? size : most;
                if (change == 0) continue;
                u[k] = end;
                a->sum[k] += change;
                a->centre[k] -= change / a->l2 * along;
                stepped[n_steps] = (int32_t)k;
                step[n_steps++] = -change / a->l2;
            }
            most *= curvature;
            largest = most > largest ? most : largest;
            for (ptrdiff_t j = 0; j < c.n; j++) {
                double *coef = a->coef + (c.row ? c.row[j] : j) * a->stride;
                for (ptrdiff_t k = 0; k < n_steps; k++) coef[stepped[k]] += step[k] * c.x[j];
            }
        }
        away = largest;
    }
    return largest;
}

/* Rows of a compressed matrix, columns here: adds sum_i h_i x_ij x_ik to out, of `width` numbers a line, for each pair of j and k
 * once. */
static void add_squares(const fl_columns *all, const double *h, double *out, ptrdiff_t width)
{
    for (ptrdiff_t k = 0; k < all->n; k++) {
        column c = column_of(all, k);
        for (ptrdiff_t a = 0; a < c.n; a++) {
            double part = h[k] * c.x[a], *line = out + c.row[a] * width;
            for (ptrdiff_t b = 0; b <= a; b++) line[c.row[b]] += part * c.x[b];
        }
    }
}

#endif
#endif
