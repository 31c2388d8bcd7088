/*
 * Everything that crosses from Java to a kernel: one plain C struct per op, passed by value as the only argument of
 * every entry of that op, in a header of the op, so that a change of one recompiles no other. Plain C, so that gcc
 * writes the table of offsets (ptx/params.json) that Java is checked against. One field per line, pointers and 64-bit
 * fields first, no hole between fields: a row that breaks this fails the build (native-build/build-ptx).
 *
 * All pointers are device pointers. Float arrays need the natural alignment of 4 bytes and no more, targets that of
 * their type, scratch of int64 8 bytes. Offsets inside kernels are 64-bit.
 */
#ifndef ISOBIT_PARAMS_H
#define ISOBIT_PARAMS_H

#include "adam_params.h"
#include "bce_with_logits_params.h"
#include "cross_entropy_general_params.h"
#include "cross_entropy_params.h"
#include "guard_params.h"
#include "nll_loss_params.h"
#include "sgd_params.h"
#include "softmax_params.h"

#endif
