/* tanh(d / 2) / (2 d) of a distance d >= 0, where e = exp(-d) and large = 1 / (1 + e): the curvature of the tightest parabola above
 * softplus that touches it at d or -d (Jaakkola & Jordan 2000, doi:10.1023/A:1008932416310).
 *
 * It is (1 - e) / (1 + e) / (2 d); where the difference loses digits, three terms of its alternating series, which are never
 * below it.
 */
#ifndef FASTLOSS_LOGISTIC_BOUND_INC_H
#define FASTLOSS_LOGISTIC_BOUND_INC_H

ALWAYS_INLINE vreal logistic_bound(vreal distance, vreal e, vreal large)
{
    vreal square = distance * distance;
    vreal far = (ONE - e) * large / (distance + distance);
    vreal near = fmadd(square, fmadd(square, C(1.0 / 480), C(-1.0 / 48)), C(0.25));
    return choose(lt(distance, C(0x1p-3)), near, far);
}

#endif
