/* Conformance of simt.h: numbers. Conversions over every 16-bit pattern and over f32 patterns that
 * round in all ways (ties, subnormals, overflow, infinities, NaN), pairs, what the hardware
 * approximates, and the CUDA functions that the vocabulary lists. */
#include "gpu/conformance_parts.h"

/* Between two neighbours of bf16 and f16: below, at and above the middle; the ends of their ranges;
 * subnormals of all three types. */
static const uint32_t tricky[] = {
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001,
    0x3f817fff, 0x3f818001, 0x3f801000, 0x3f803000, 0x3f800fff, 0x3f801001, 0x477fe000, 0x477fefff,
    0x477ff000, 0x477fffff, 0x47800000, 0xc77ff000, 0x7f7fffff, 0x7f7f7fff, 0x7f7f8000, 0xff7fffff,
    0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7fc00001, 0x33800000, 0x33000000, 0x33000001,
    0x32ffffff, 0x33c00000, 0x33bfffff, 0x38800000, 0x387fc000, 0x387fe000, 0x387fefff, 0x387ff000,
    0x38000000, 0x38001000, 0x38003000, 0x00800000, 0x007fffff, 0x00400000, 0x00000001, 0x00008000,
    0x00008001, 0x00018000, 0x80008000, 0x007f8000, 0x42280000, 0xc2c80000, 0x3eaaaaab, 0x3dcccccd,
    0x40490fdb, 0xbfb504f3, 0x4b7fffff, 0xcb000001, 0x3f7fffff, 0x3f7f8000, 0x3f7ff000, 0x477fe001,
};

#define TRICKY ((int)(sizeof tricky / sizeof tricky[0]))

template <class T> __global__ __launch_bounds__(256) void narrow_kernel(uint32_t *out) {
    const unsigned i = blockIdx.x * 256 + threadIdx.x;
    /* Every exponent, low bits of all kinds. */
    out[i] = from_f32<T>(f32_of_bits(i * 131071u + (i >> 5))).bits;
}

template <class T> __global__ __launch_bounds__(256) void widen_kernel(uint32_t *out) {
    const unsigned i = blockIdx.x * 256 + threadIdx.x;
    out[i]           = bits_of_f32(to_f32(T{(uint16_t)(i * 2 + blockIdx.x % 2)}));
}

template <class T>
__global__ __launch_bounds__(64) void pair_kernel(uint32_t *out, const uint32_t *in) {
    const unsigned i    = threadIdx.x;
    const float    low  = f32_of_bits(in[i]), high = f32_of_bits(in[(i * 5 + 3) % 64]);
    const uint32_t pair = pack2<T>(low, high);
    const float2   both = unpack2<T>(pair);
    out[i]       = pair;
    out[64 + i]  = bits_of_f32(both.x);
    out[128 + i] = bits_of_f32(both.y);
}

/* T's 16-bit words, then pairs. */
template <class T>
static void conversions(conformance *c, const char *const names[3], uint32_t infinity) {
    const size_t count = 32768;
    uint32_t    *out   = (uint32_t *)conformance_input(c, NULL, count * sizeof *out);
    int code = simt_launch("narrow", narrow_kernel<T>, conformance_grid(c, 128, 256, 0), out);
    if (conformance_result(c, names[0], code, out, count)) {
        conformance_plain_nans16(c, count, infinity);
        conformance_exact(c, names[0], conformance_hashes(c, count));
    }
    out  = (uint32_t *)conformance_input(c, NULL, count * sizeof *out);
    code = simt_launch("widen", widen_kernel<T>, conformance_grid(c, 128, 256, 0), out);
    if (conformance_result(c, names[1], code, out, count)) {
        conformance_plain_nans32(c, count);
        conformance_exact(c, names[1], conformance_hashes(c, count));
    }
    uint32_t *in = (uint32_t *)conformance_input(c, tricky, sizeof tricky);
    out          = (uint32_t *)conformance_input(c, NULL, 192 * sizeof *out);
    code = simt_launch("pair", pair_kernel<T>, conformance_grid(c, 1, 64, 0), out,
                       (const uint32_t *)in);
    if (conformance_result(c, names[2], code, out, 192)) {
        conformance_plain_nans16(c, 64, infinity);
        conformance_plain_nans32(c, 192);
        conformance_exact(c, names[2], 192);
    }
    conformance_release(c, in);
}

/* ---- Functions ------------------------------------------------------------------------------ */

/* What IEEE 754 fixes: exact on both sides. */
__global__ __launch_bounds__(64) void exact_kernel(uint32_t *out, const uint32_t *in) {
    const unsigned i = threadIdx.x;
    const float    x = f32_of_bits(__ldg(&in[i])), y = f32_of_bits(__ldg(&in[(i * 5 + 3) % 64]));
    out[i]       = bits_of_f32(fmaxf(x, y));
    out[64 + i]  = bits_of_f32(fminf(x, y));
    out[128 + i] = bits_of_f32(fmaf(x, y, 1.0f));
    out[192 + i] = bits_of_f32(sqrtf(fabsf(x)));
    out[256 + i] = bits_of_f32(x / y);
    out[320 + i] = bits_of_f32(from_f32<float>(to_f32(x)));
    out[384 + i] = (uint32_t)min((int)in[i], (int)in[(i + 1) % 64]);
    out[448 + i] = (uint32_t)max((int)in[i], (int)in[(i + 1) % 64]);
}

__global__ __launch_bounds__(64) void vector_kernel(uint32_t *out) {
    const unsigned i = threadIdx.x;
    const float2   a = make_float2((float)i, 2.0f);
    const float4   b = make_float4(a.x, a.y, 3.0f, 4.0f);
    const uint2    p = make_uint2(i, 7);
    const uint4    q = make_uint4(p.x, p.y, 9, 11);
    float4        *floats = reinterpret_cast<float4 *>(out);
    uint4         *words  = reinterpret_cast<uint4 *>(out + 256);
    floats[i] = b;
    words[i]  = q;
}

/* which: 0 exp2, 1 exp, 2 exp again, 3 rsqrt, 4 divide, 5 erf, 6 tanh, 7 expf */
__global__ __launch_bounds__(256) void approximate_kernel(uint32_t *out, int which) {
    const unsigned i = threadIdx.x;
    float          y = 0.0f;
    switch (which) {
    case 0: y = exp2_approx(((float)i - 200.0f) * 0.77f); break;
    case 1: y = exp_approx(((float)i - 128.0f) / 128.0f); break;
    case 2: y = exp_approx(((float)i - 255.0f) * 0.34f); break;
    case 3: y = rsqrtf(((float)i + 1.0f) * 0.37f); break;
    case 4: y = __fdividef((float)i - 99.5f, (float)(i * 7 % 256) + 0.3f); break;
    case 5: y = erff(((float)i - 128.0f) / 30.0f); break;
    case 6: y = tanhf(((float)i - 128.0f) / 30.0f); break;
    default: y = expf(((float)i - 200.0f) / 3.0f); break;
    }
    out[i] = bits_of_f32(y);
}

typedef struct approximation {
    const char *name;
    double      relative, absolute;
} approximation;

/* The bounds of the CUDA C++ Programming Guide ("Mathematical Functions") and, for ex2.approx, of
 * the PTX manual: 2^-22 relative, results below the normal range flushed to zero. exp_approx is
 * ex2.approx of x * log2(e): 2 + 1.173 |x| ulp. Each with 1 ulp for the stored value's own. */
static const approximation approximations[8] = {
    { "exp2_approx", 3.6e-7, 1.2e-38 }, { "exp_approx_near_0", 5e-7, 0 },
    { "exp_approx_negative", 1.3e-5, 1.2e-38 }, { "rsqrtf", 3.6e-7, 0 },
    { "fdividef", 3.6e-7, 0 }, { "erff", 4.8e-7, 0 }, { "tanhf", 3.6e-7, 0 },
    { "expf", 3.6e-7, 1.2e-38 },
};

static void functions(conformance *c) {
    uint32_t *in   = (uint32_t *)conformance_input(c, tricky, sizeof tricky);
    uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 512 * sizeof *out);
    int       code = simt_launch("exact", exact_kernel, conformance_grid(c, 1, 64, 0), out,
                                 (const uint32_t *)in);
    if (conformance_result(c, "exact_functions", code, out, 512)) {
        conformance_plain_nans32(c, 384);
        conformance_exact(c, "exact_functions", 512);
    }
    conformance_release(c, in);

    out  = (uint32_t *)conformance_input(c, NULL, 512 * sizeof *out);
    code = simt_launch("vector", vector_kernel, conformance_grid(c, 1, 64, 0), out);
    if (conformance_result(c, "vectors", code, out, 512)) { conformance_exact(c, "vectors", 512); }

    for (int i = 0; i < 8; i++) {
        const approximation *a = &approximations[i];
        out  = (uint32_t *)conformance_input(c, NULL, 256 * sizeof *out);
        code = simt_launch("approximate", approximate_kernel, conformance_grid(c, 1, 256, 0), out,
                           i);
        if (conformance_result(c, a->name, code, out, 256)) {
            conformance_near(c, a->name, a->relative, a->absolute, 256);
        }
    }
}

void conformance_numbers(conformance *c) {
    static_assert(TRICKY == 64, "the kernels above run one thread for each");
    const char *const f16[3]  = { "from_f32_f16", "to_f32_f16", "pair_f16" };
    const char *const bf16[3] = { "from_f32_bf16", "to_f32_bf16", "pair_bf16" };
    conversions<ccu_f16>(c, f16, 0x7c00);
    conversions<ccu_bf16>(c, bf16, 0x7f80);
    functions(c);
}
