/* Losses of fastloss in JAX on the CPU, through XLA's foreign function interface: no Python while a program runs.
 *
 *     cc -O2 -shared -fPIC -o jax_ffi.so jax_ffi.c -I$(python3 -c "import sysconfig; print(sysconfig.get_path('include'))")
 *         -I$(python3 -c "import jax; print(jax.ffi.include_dir())") -I$(python3 -c "import fastloss; print(fastloss.get_include())")
 *
 * One target, `value_and_gradient`: (prediction, target) -> (values, gradient). Values are one an element; of losses of rows one a
 * row, and the last axis has the classes. The attribute `loss` is a text such as "Huber(delta=2)". benchmarks/jax_ffi.py registers
 * and differentiates it.
 */
#include <Python.h>
#include <stdio.h>
#include <string.h>

#include "fastloss_api.h"
#include "xla/ffi/api/c_api.h"

enum { MOST_LOSSES = 64, LONGEST_TEXT = 200 };

static const fastloss_api *fl;

static XLA_FFI_Error *error(const XLA_FFI_CallFrame *frame, const char *message)
{
    XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, message,
                                      XLA_FFI_Error_Code_INVALID_ARGUMENT};
    return frame->api->XLA_FFI_Error_Create(&args);
}

/* A loss by its text, made once; the GIL guards the list. */
static fastloss_loss *find(const char *text, size_t length, char *message, size_t message_size)
{
    static struct {
        char text[LONGEST_TEXT];
        fastloss_loss *loss;
    } known[MOST_LOSSES];
    static int n_known;
    fastloss_loss *found = NULL;
    if (length >= LONGEST_TEXT) {
        snprintf(message, message_size, "loss is a text of more than %d characters", LONGEST_TEXT - 1);
        return NULL;
    }
    const PyGILState_STATE state = PyGILState_Ensure();
    for (int i = 0; i < n_known && !found; i++)
        if (strlen(known[i].text) == length && !memcmp(known[i].text, text, length)) found = known[i].loss;
    if (!found && n_known == MOST_LOSSES) {
        snprintf(message, message_size, "there are more than %d losses", MOST_LOSSES);
    } else if (!found) {
        memcpy(known[n_known].text, text, length);
        known[n_known].text[length] = 0;
        found = fl->find(known[n_known].text, message, message_size);
        if (found) known[n_known++].loss = found;
    }
    PyGILState_Release(state);
    return found;
}

/* The elements of a buffer in rows of n_columns; XLA hands over and expects C order. */
static fastloss_array array_of(const XLA_FFI_Buffer *buffer, int64_t n_columns)
{
    const int type = buffer->dtype == XLA_FFI_DataType_F32   ? FASTLOSS_F32
                     : buffer->dtype == XLA_FFI_DataType_F64 ? FASTLOSS_F64
                     : buffer->dtype == XLA_FFI_DataType_S32 ? FASTLOSS_I32
                     : buffer->dtype == XLA_FFI_DataType_S64 ? FASTLOSS_I64
                                                             : -1; /* refused by `evaluate` */
    return fastloss_matrix(buffer->data, n_columns, type);
}

static int has_dims(const XLA_FFI_Buffer *buffer, const XLA_FFI_Buffer *as, int64_t rank)
{
    if (buffer->rank != rank) return 0;
    for (int64_t i = 0; i < rank; i++)
        if (buffer->dims[i] != as->dims[i]) return 0;
    return 1;
}

XLA_FFI_Error *value_and_gradient(XLA_FFI_CallFrame *frame)
{
    for (XLA_FFI_Extension_Base *each = frame->extension_start; each; each = each->next) {
        if (each->type != XLA_FFI_Extension_Metadata) continue;
        XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)each)->metadata;
        metadata->api_version.major_version = XLA_FFI_API_MAJOR;
        metadata->api_version.minor_version = XLA_FFI_API_MINOR;
        return NULL;
    }
    if (frame->args.size != 2 || frame->rets.size != 2 || frame->attrs.size != 1 ||
        frame->attrs.types[0] != XLA_FFI_AttrType_STRING)
        return error(frame,
                     "value_and_gradient takes (prediction, target, loss=a text) and returns (values, gradient)");
    char message[300] = "";
    const XLA_FFI_ByteSpan *text = frame->attrs.attrs[0];
    const fastloss_loss *loss = find(text->ptr, text->len, message, sizeof message);
    if (!loss) return error(frame, message);
    fastloss_info info = {.size = sizeof info};
    fl->info(loss, &info);
    if (info.kind == FASTLOSS_SETWISE) return error(frame, "losses of sets have no values of elements or rows");

    const XLA_FFI_Buffer *z = frame->args.args[0], *t = frame->args.args[1];
    const XLA_FFI_Buffer *values = frame->rets.rets[0], *gradient = frame->rets.rets[1];
    const int rows = info.kind != FASTLOSS_POINTWISE, by_column = rows && t->rank == z->rank;
    const int64_t rank = rows ? z->rank - 1 : z->rank;
    if (rank < 0) return error(frame, "prediction has no axis, and this loss is one of rows");
    if (by_column && info.kind == FASTLOSS_COLUMNS) return error(frame, "target holds one number a row");
    if (!has_dims(t, z, by_column ? z->rank : rank)) return error(frame, "target has not the shape of the prediction");
    if (!has_dims(values, z, rank) || !has_dims(gradient, z, z->rank) || values->dtype != z->dtype ||
        gradient->dtype != z->dtype)
        return error(frame, "values or gradient have not the shape and dtype of the prediction");

    const int64_t n_columns = rows ? z->dims[rank] : 1;
    int64_t n_rows = 1;
    for (int64_t i = 0; i < rank; i++) n_rows *= z->dims[i];
    fastloss_call call = {.size = sizeof call,
                          .n_rows = n_rows,
                          .n_columns = n_columns,
                          .prediction = array_of(z, n_columns),
                          .target = array_of(t, by_column ? n_columns : 1),
                          .value = array_of(values, 1),
                          .gradient = array_of(gradient, n_columns),
                          .target_is_by_column = by_column};
    const int status = fl->evaluate(loss, &call);
    if (!status) return NULL;
    snprintf(message, sizeof message, "%s, place %td", fl->message(status), call.place);
    return error(frame, message);
}

/* Once, with the GIL, as ctypes.PyDLL calls it. */
int set_up(void)
{
    fl = fastloss_import();
    return fl ? 0 : -1;
}
