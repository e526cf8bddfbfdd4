/* oneDNN's matrix product; see dnnl_wrap.h. Everything that differs between the 2.x and 3.x C
 * APIs is in the first section. */
#include "ops/dnnl_wrap.h"

#include <assert.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* ---- oneDNN 2.x and 3.x: descriptors are structs there and owned handles here -------------- */

#if DNNL_VERSION_MAJOR >= 3

typedef struct layout {
    dnnl_memory_desc_t md;
} layout;
typedef const_dnnl_memory_desc_t layout_view;

static layout_view view(const layout *l) {
    return l->md;
}

static void layout_free(layout *l) {
    if (l->md != NULL) { (void)dnnl_memory_desc_destroy(l->md); }
    l->md = NULL;
}

static dnnl_status_t layout_strided(layout *l, const dnnl_dims_t dims, dnnl_data_type_t type,
                                    const dnnl_dims_t strides) {
    return dnnl_memory_desc_create_with_strides(&l->md, 2, dims, type, strides);
}

static dnnl_status_t layout_any(layout *l, const dnnl_dims_t dims, dnnl_data_type_t type) {
    return dnnl_memory_desc_create_with_tag(&l->md, 2, dims, type, dnnl_format_tag_any);
}

static dnnl_status_t layout_copy(layout *l, layout_view from) {
    return dnnl_memory_desc_clone(&l->md, from);
}

static dnnl_status_t matmul_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                     const layout *a, const layout *b, const layout *c,
                                     const_dnnl_primitive_attr_t attr) {
    return dnnl_matmul_primitive_desc_create(out, engine, a->md, b->md, NULL, c->md, attr);
}

#else

typedef struct layout {
    dnnl_memory_desc_t md;
} layout;
typedef const dnnl_memory_desc_t *layout_view;

static layout_view view(const layout *l) {
    return &l->md;
}

static void layout_free(layout *l) {
    (void)l; /* a plain struct in 2.x */
}

static dnnl_status_t layout_strided(layout *l, const dnnl_dims_t dims, dnnl_data_type_t type,
                                    const dnnl_dims_t strides) {
    return dnnl_memory_desc_init_by_strides(&l->md, 2, dims, type, strides);
}

static dnnl_status_t layout_any(layout *l, const dnnl_dims_t dims, dnnl_data_type_t type) {
    return dnnl_memory_desc_init_by_tag(&l->md, 2, dims, type, dnnl_format_tag_any);
}

static dnnl_status_t layout_copy(layout *l, layout_view from) {
    l->md = *from;
    return dnnl_success;
}

static dnnl_status_t matmul_describe(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                     const layout *a, const layout *b, const layout *c,
                                     const_dnnl_primitive_attr_t attr) {
    dnnl_matmul_desc_t  desc;
    const dnnl_status_t status = dnnl_matmul_desc_init(&desc, &a->md, &b->md, NULL, &c->md);
    if (status != dnnl_success) { return status; }
    return dnnl_primitive_desc_create(out, &desc, attr, engine, NULL);
}

#endif

/* ---- Types --------------------------------------------------------------------------------- */

/* The height packed layouts are chosen for; they do not depend on it where this was measured. */
#define PACK_ROWS 96

typedef struct handles {
    dnnl_memory_t a, b, c, scratch;
} handles;

struct ccu_dnnl_product {
    ccu_dnnl_shape   shape;
    uint64_t         used; /* when last asked for; 0: free slot */
    dnnl_primitive_t primitive;
    handles         *threads; /* (threads) */
    size_t           b_bytes;
};

struct ccu_dnnl {
    int32_t               threads;
    dnnl_engine_t         engine;
    dnnl_primitive_attr_t attr;    /* user scratchpad, strict f32 */
    dnnl_stream_t        *streams; /* (threads) */
    uint8_t              *scratch; /* (threads) blocks for the primitives' intermediate results */
    size_t                scratch_bytes;
    uint64_t              clock;
    ccu_dnnl_product      kept[CCU_DNNL_KEPT];
};

static clipcu_status fail(clipcu_error *error, const char *what, dnnl_status_t status) {
    if (status == dnnl_out_of_memory) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "oneDNN: no memory for %s", what);
    }
    return ccu_fail(error, CLIPCU_ERR_BACKEND, "oneDNN: %s failed with status %d", what,
                    (int)status);
}

static dnnl_data_type_t data_type(ccu_dtype dtype) {
    assert(dtype != CCU_F16);
    return dtype == CCU_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* The same pointer without const: oneDNN's handles have no read-only form. */
static void *handle_of(const void *memory) {
    void *handle;
    memcpy(&handle, &memory, sizeof handle);
    return handle;
}

/* ---- Open and close ------------------------------------------------------------------------ */

clipcu_status ccu_dnnl_open(int32_t threads, ccu_dnnl **out, clipcu_error *error) {
    assert(threads >= 1);
    assert(out != NULL);
    *out = NULL;
    ccu_dnnl *dnnl = ccu_alloc_zeroed(1, sizeof *dnnl);
    if (dnnl == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "CPU backend: out of memory"); }
    dnnl->threads = threads;
    dnnl->streams = ccu_alloc_zeroed((size_t)threads, sizeof *dnnl->streams);

    dnnl_status_t status = dnnl->streams == NULL ? dnnl_out_of_memory : dnnl_success;
    if (status == dnnl_success) { status = dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0); }
    for (int32_t t = 0; status == dnnl_success && t < threads; t++) {
        status = dnnl_stream_create(&dnnl->streams[t], dnnl->engine, dnnl_stream_default_flags);
    }
    if (status == dnnl_success) { status = dnnl_primitive_attr_create(&dnnl->attr); }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_set_scratchpad_mode(dnnl->attr, dnnl_scratchpad_mode_user);
    }
    if (status == dnnl_success) {
        status = dnnl_primitive_attr_set_fpmath_mode(dnnl->attr, dnnl_fpmath_mode_strict);
    }
    if (status != dnnl_success) {
        ccu_dnnl_close(dnnl);
        return fail(error, "creating an engine", status);
    }
    *out = dnnl;
    return CLIPCU_OK;
}

static void memory_free(dnnl_memory_t memory) {
    if (memory != NULL) { (void)dnnl_memory_destroy(memory); }
}

static void product_free(const ccu_dnnl *dnnl, ccu_dnnl_product *product) {
    for (int32_t t = 0; product->threads != NULL && t < dnnl->threads; t++) {
        memory_free(product->threads[t].a);
        memory_free(product->threads[t].b);
        memory_free(product->threads[t].c);
        memory_free(product->threads[t].scratch);
    }
    ccu_free(product->threads);
    if (product->primitive != NULL) { (void)dnnl_primitive_destroy(product->primitive); }
    memset(product, 0, sizeof *product);
}

void ccu_dnnl_close(ccu_dnnl *dnnl) {
    if (dnnl == NULL) { return; }
    for (int32_t i = 0; i < CCU_DNNL_KEPT; i++) { product_free(dnnl, &dnnl->kept[i]); }
    if (dnnl->attr != NULL) { (void)dnnl_primitive_attr_destroy(dnnl->attr); }
    for (int32_t t = 0; dnnl->streams != NULL && t < dnnl->threads; t++) {
        if (dnnl->streams[t] != NULL) { (void)dnnl_stream_destroy(dnnl->streams[t]); }
    }
    if (dnnl->engine != NULL) { (void)dnnl_engine_destroy(dnnl->engine); }
    ccu_free(dnnl->streams);
    ccu_free(dnnl->scratch);
    ccu_free(dnnl);
}

/* ---- Packing ------------------------------------------------------------------------------- */

/* Rows of B as they lie in memory, described as the (K, N) operand of the product. */
static dnnl_status_t rows_layout(layout *l, int32_t N, int32_t K, int32_t stride,
                                 dnnl_data_type_t type) {
    const dnnl_dims_t dims    = { K, N };
    const dnnl_dims_t strides = { 1, stride };
    return layout_strided(l, dims, type, strides);
}

static dnnl_status_t matrix_layout(layout *l, int32_t rows, int32_t columns, int32_t stride,
                                   dnnl_data_type_t type) {
    const dnnl_dims_t dims    = { rows, columns };
    const dnnl_dims_t strides = { stride, 1 };
    return layout_strided(l, dims, type, strides);
}

/* The layout oneDNN wants for weights (N, K). Where it has no layout of its own (2.x below
 * AVX-512) plain rows are used: they were up to a quarter faster there than the transposed plain
 * layout it asks for (M = 50 .. 512, Zen 3). */
static dnnl_status_t packed_layout(const ccu_dnnl *dnnl, int32_t N, int32_t K,
                                   dnnl_data_type_t type, layout *out) {
    const dnnl_dims_t     dims = { K, N };
    layout                a = { 0 }, any = { 0 }, c = { 0 }, plain = { 0 };
    dnnl_primitive_desc_t desc = NULL;

    dnnl_status_t status = matrix_layout(&a, PACK_ROWS, K, K, type);
    if (status == dnnl_success) { status = layout_any(&any, dims, type); }
    if (status == dnnl_success) { status = matrix_layout(&c, PACK_ROWS, N, N, dnnl_f32); }
    if (status == dnnl_success) { status = matrix_layout(&plain, K, N, N, type); }
    if (status == dnnl_success) {
        status = matmul_describe(&desc, dnnl->engine, &a, &any, &c, dnnl->attr);
    }
    if (status == dnnl_success) {
        const layout_view wanted = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
        if (dnnl_memory_desc_equal(wanted, view(&plain))) {
            status = rows_layout(out, N, K, K, type);
        } else {
            status = layout_copy(out, wanted);
        }
    }
    if (desc != NULL) { (void)dnnl_primitive_desc_destroy(desc); }
    layout_free(&a);
    layout_free(&any);
    layout_free(&c);
    layout_free(&plain);
    return status;
}

clipcu_status ccu_dnnl_pack_bytes(ccu_dnnl *dnnl, int32_t N, int32_t K, ccu_dtype dtype,
                                  size_t *bytes, clipcu_error *error) {
    assert(dnnl != NULL && bytes != NULL);
    assert(N >= 1 && K >= 1);
    layout    packed  = { 0 };
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const dnnl_status_t status = packed_layout(dnnl, N, K, data_type(dtype), &packed);
    omp_set_num_threads(threads);
    if (status != dnnl_success) { return fail(error, "choosing a weight layout", status); }
    *bytes = dnnl_memory_desc_get_size(view(&packed));
    layout_free(&packed);
    return CLIPCU_OK;
}

clipcu_status ccu_dnnl_pack(ccu_dnnl *dnnl, void *to, const float *rows, int32_t N, int32_t K,
                            ccu_dtype dtype, clipcu_error *error) {
    assert(dnnl != NULL && to != NULL && rows != NULL);
    assert(N >= 1 && K >= 1);
    layout                from = { 0 }, packed = { 0 };
    dnnl_primitive_desc_t desc      = NULL;
    dnnl_primitive_t      primitive = NULL;
    dnnl_memory_t         source = NULL, target = NULL;

    dnnl_status_t status = rows_layout(&from, N, K, K, dnnl_f32);
    const int     threads = omp_get_max_threads();
    omp_set_num_threads(1);
    if (status == dnnl_success) { status = packed_layout(dnnl, N, K, data_type(dtype), &packed); }
    omp_set_num_threads(threads);
    if (status == dnnl_success) {
        status = dnnl_reorder_primitive_desc_create(&desc, view(&from), dnnl->engine,
                                                    view(&packed), dnnl->engine, NULL);
    }
    if (status == dnnl_success) { status = dnnl_primitive_create(&primitive, desc); }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&source, view(&from), dnnl->engine, handle_of(rows));
    }
    if (status == dnnl_success) {
        status = dnnl_memory_create(&target, view(&packed), dnnl->engine, to);
    }
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, source }, { DNNL_ARG_TO, target } };
        status = dnnl_primitive_execute(primitive, dnnl->streams[0], 2, args);
    }
    memory_free(source);
    memory_free(target);
    if (primitive != NULL) { (void)dnnl_primitive_destroy(primitive); }
    if (desc != NULL) { (void)dnnl_primitive_desc_destroy(desc); }
    layout_free(&from);
    layout_free(&packed);
    return status == dnnl_success ? CLIPCU_OK : fail(error, "packing weights", status);
}

/* ---- Products ------------------------------------------------------------------------------ */

static dnnl_status_t scratch_reserve(ccu_dnnl *dnnl, size_t bytes) {
    const size_t block = (bytes + 4095) & ~(size_t)4095; /* threads do not share a page */
    if (block <= dnnl->scratch_bytes) { return dnnl_success; }
    uint8_t *scratch = ccu_alloc(block * (size_t)dnnl->threads);
    if (scratch == NULL) { return dnnl_out_of_memory; }
    ccu_free(dnnl->scratch);
    dnnl->scratch       = scratch;
    dnnl->scratch_bytes = block;
    return dnnl_success;
}

static dnnl_status_t handles_create(const ccu_dnnl *dnnl, ccu_dnnl_product *product,
                                    const_dnnl_primitive_desc_t desc) {
    product->threads = ccu_alloc_zeroed((size_t)dnnl->threads, sizeof *product->threads);
    if (product->threads == NULL) { return dnnl_out_of_memory; }
    const dnnl_query_t what[] = { dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md,
                                  dnnl_query_scratchpad_md };
    for (int32_t t = 0; t < dnnl->threads; t++) {
        handles             *h     = &product->threads[t];
        dnnl_memory_t *const out[] = { &h->a, &h->b, &h->c, &h->scratch };
        for (int32_t i = 0; i < 4; i++) {
            const layout_view   md     = dnnl_primitive_desc_query_md(desc, what[i], 0);
            const dnnl_status_t status = dnnl_memory_create(out[i], md, dnnl->engine,
                                                            DNNL_MEMORY_NONE);
            if (status != dnnl_success) { return status; }
        }
    }
    return dnnl_success;
}

static dnnl_status_t product_create(ccu_dnnl *dnnl, ccu_dnnl_product *product) {
    const ccu_dnnl_shape  *s    = &product->shape;
    const dnnl_data_type_t type = data_type(s->dtype);
    layout                 a = { 0 }, b = { 0 }, c = { 0 };
    dnnl_primitive_desc_t  desc = NULL;

    dnnl_status_t status = matrix_layout(&a, s->M, s->K, s->a_stride, type);
    if (status == dnnl_success) {
        status = s->b_stride == 0 ? packed_layout(dnnl, s->N, s->K, type, &b)
                                  : rows_layout(&b, s->N, s->K, s->b_stride, type);
    }
    if (status == dnnl_success) { status = matrix_layout(&c, s->M, s->N, s->N, dnnl_f32); }
    if (status == dnnl_success) {
        status = matmul_describe(&desc, dnnl->engine, &a, &b, &c, dnnl->attr);
    }
    if (status == dnnl_success) { status = dnnl_primitive_create(&product->primitive, desc); }
    if (status == dnnl_success) {
        const layout_view md = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        status               = scratch_reserve(dnnl, dnnl_memory_desc_get_size(md));
    }
    if (status == dnnl_success) { status = handles_create(dnnl, product, desc); }
    if (status == dnnl_success) { product->b_bytes = dnnl_memory_desc_get_size(view(&b)); }
    if (desc != NULL) { (void)dnnl_primitive_desc_destroy(desc); }
    layout_free(&a);
    layout_free(&b);
    layout_free(&c);
    return status;
}

static bool shape_equal(const ccu_dnnl_shape *a, const ccu_dnnl_shape *b) {
    return a->M == b->M && a->N == b->N && a->K == b->K && a->a_stride == b->a_stride &&
           a->b_stride == b->b_stride && a->dtype == b->dtype;
}

clipcu_status ccu_dnnl_product_get(ccu_dnnl *dnnl, const ccu_dnnl_shape *shape,
                                   ccu_dnnl_product **out, clipcu_error *error) {
    assert(dnnl != NULL && shape != NULL && out != NULL);
    assert(shape->M >= 1 && shape->N >= 1 && shape->K >= 1);
    ccu_dnnl_product *oldest = &dnnl->kept[0];
    for (int32_t i = 0; i < CCU_DNNL_KEPT; i++) {
        ccu_dnnl_product *product = &dnnl->kept[i];
        if (product->used != 0 && shape_equal(&product->shape, shape)) {
            product->used = ++dnnl->clock;
            *out          = product;
            return CLIPCU_OK;
        }
        if (product->used < oldest->used) { oldest = product; }
    }
    product_free(dnnl, oldest);
    oldest->shape     = *shape;
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* oneDNN plans for this many */
    const dnnl_status_t status = product_create(dnnl, oldest);
    omp_set_num_threads(threads);
    if (status != dnnl_success) {
        product_free(dnnl, oldest);
        return fail(error, "creating a matrix product", status);
    }
    oldest->used = ++dnnl->clock;
    *out         = oldest;
    return CLIPCU_OK;
}

size_t ccu_dnnl_product_b_bytes(const ccu_dnnl_product *product) {
    return product->b_bytes;
}

bool ccu_dnnl_run(ccu_dnnl *dnnl, ccu_dnnl_product *product, int32_t thread, const void *a,
                  const void *b, float *c) {
    assert(thread >= 0 && thread < dnnl->threads);
    assert(a != NULL && b != NULL && c != NULL);
    const handles *h       = &product->threads[thread];
    uint8_t       *scratch = NULL;
    if (dnnl->scratch != NULL) { scratch = dnnl->scratch + (size_t)thread * dnnl->scratch_bytes; }
    if (dnnl_memory_set_data_handle(h->a, handle_of(a)) != dnnl_success ||
        dnnl_memory_set_data_handle(h->b, handle_of(b)) != dnnl_success ||
        dnnl_memory_set_data_handle(h->c, c) != dnnl_success ||
        dnnl_memory_set_data_handle(h->scratch, scratch) != dnnl_success) {
        return false;
    }
    const dnnl_exec_arg_t args[] = { { DNNL_ARG_SRC, h->a },
                                     { DNNL_ARG_WEIGHTS, h->b },
                                     { DNNL_ARG_DST, h->c },
                                     { DNNL_ARG_SCRATCHPAD, h->scratch } };
    return dnnl_primitive_execute(product->primitive, dnnl->streams[thread], 4, args) ==
           dnnl_success;
}

/* ---- What is there ------------------------------------------------------------------------- */

/* The instruction sets' numbers are bit sets: a larger one contains the bits of those below. */
static bool isa_has(dnnl_cpu_isa_t isa) {
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)isa) == (unsigned)isa;
}

bool ccu_dnnl_avx512(void) {
    return isa_has(dnnl_cpu_isa_avx512_core);
}

bool ccu_dnnl_bf16(void) {
    return isa_has(dnnl_cpu_isa_avx512_core_bf16);
}

void ccu_dnnl_describe(char *text, size_t bytes) {
    assert(text != NULL && bytes > 0);
    const dnnl_version_t *version = dnnl_version();
    const char           *isa     = "portable code";
    if (isa_has(dnnl_cpu_isa_sse41)) { isa = "SSE4.1"; }
    if (isa_has(dnnl_cpu_isa_avx)) { isa = "AVX"; }
    if (isa_has(dnnl_cpu_isa_avx2)) { isa = "AVX2"; }
    if (isa_has(dnnl_cpu_isa_avx512_core)) { isa = "AVX-512"; }
    if (isa_has(dnnl_cpu_isa_avx512_core_bf16)) { isa = "AVX-512 with bf16"; }
    if (isa_has(dnnl_cpu_isa_avx512_core_amx)) { isa = "AMX"; }
    (void)snprintf(text, bytes, "oneDNN %d.%d.%d, %s", version->major, version->minor,
                   version->patch, isa); /* a cut description is still one */
}
