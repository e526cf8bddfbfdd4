/* The op table: everything that model/ asks of a backend.
 *
 * One argument struct per operation states shapes, dtypes and allowed overlap; ccu_ops is a struct
 * of function pointers, one table per backend. model/ is written once against it.
 *
 * Rules
 *   Ops return nothing, never allocate, never synchronise. The backend keeps its first failure in
 *   be->error (later ops then do nothing); finish() waits and returns it.
 *   A shape that a backend cannot do is UNSUPPORTED with the shape in the message.
 *   Pointers are backend memory (a slab) unless they say host. Tensors are row-major and
 *   contiguous unless a stride is given. `dtype` is that of activations and packed weights;
 *   biases, LayerNorm weights and bias, positions and embeddings at the head are always f32.
 *   Products accumulate in f32; softmax, norms and scores are computed in f32.
 *   Row pointers are 64-byte aligned at row 0 of a tensor. Inputs and outputs do not overlap
 *   unless stated.
 *   A row of the result depends only on that row's inputs: not on M, B or the thread count.
 *   (host/ops/README.md says what is measured of that.)
 *
 * Letters: M rows, C width, N outputs, K inputs, B images, T tokens of one sequence, H heads,
 * D head size (C = H * D), E embedding width, S image side, P patch side, G = S / P.
 */
#ifndef CCU_OPS_OPS_H
#define CCU_OPS_OPS_H

#include <stdbool.h>

#include "base/dtype.h"
#include "base/kinds.h"
#include "base/resample.h"
#include "base/status.h"

typedef struct ccu_ops ccu_ops;

/* First member of every backend's own struct. */
typedef struct ccu_backend {
    const ccu_ops *ops;
    clipcu_error   error; /* first failure; CLIPCU_OK until then */
} ccu_backend;

/* What linear_pack makes of weights. */
typedef enum ccu_weights {
    CCU_WEIGHTS_PLAIN = 0, /* numbers of dtype */
    CCU_WEIGHTS_INT8  = 1  /* x (dtype f32) and w are both rounded to 8 bits with a scale per row of
                              x and per output, and multiplied as integers: product_int8_panel.h
                              has the rule. CPU only */
} ccu_weights;

/* y = act(x . w^T + b) + r */
typedef struct ccu_linear {
    void        *y;        /* (M, N) dtype, rows y_stride apart */
    const void  *x;        /* (M, K) dtype, rows x_stride apart */
    const void  *w;        /* (N, K) as linear_pack wrote it */
    const float *b;        /* (N) or NULL */
    const void  *r;        /* (M, N) dtype, rows y_stride apart, or NULL; may equal y */
    int32_t      M, N, K;
    int32_t      x_stride; /* elements, >= K; 0 means K */
    int32_t      y_stride; /* elements, >= N; 0 means N */
    ccu_act      act;
    ccu_dtype    dtype;
    ccu_weights  weights;
} ccu_linear;

/* y[m] = (x[rows[m]] - mean) / sqrt(var + eps) * w + b, biased variance (PyTorch LayerNorm) */
typedef struct ccu_layernorm {
    void          *y;    /* (M, C) dtype; may equal x when rows is NULL */
    const void    *x;    /* (., C) dtype */
    const float   *w;    /* (C) */
    const float   *b;    /* (C) */
    const int32_t *rows; /* (M) rows of x, or NULL for 0 .. M-1 */
    int32_t        M, C;
    float          eps;
    ccu_dtype      dtype;
} ccu_layernorm;

/* Dense attention over B sequences of equal length, no mask:
 * y[b,i] = softmax_j(q[b,i] . k[b,j] / sqrt D) v[b,j] per head.
 * Tq < T computes only the first Tq queries of each sequence (the class token of a last layer). */
typedef struct ccu_attention {
    void       *y;         /* (B * Tq, H * D) dtype */
    const void *q;         /* (B * Tq, H * D) dtype, rows q_stride apart */
    const void *k;         /* (B * T, H * D) dtype, rows kv_stride apart */
    const void *v;         /* (B * T, H * D) dtype, rows kv_stride apart */
    int32_t     q_stride;  /* elements */
    int32_t     kv_stride; /* elements */
    int32_t     B, Tq, T, H, D;
    ccu_dtype   dtype;
} ccu_attention;

/* Causal attention over a token trie: row m attends to the rows on its path from the root,
 * itself last. Query i is row rows[i]'s query. */
typedef struct ccu_attention_tree {
    void          *y;          /* (Mq, H * D) dtype */
    const void    *q;          /* (Mq, H * D) dtype, rows q_stride apart */
    const void    *k;          /* (M, H * D) dtype, rows kv_stride apart */
    const void    *v;          /* (M, H * D) dtype, rows kv_stride apart */
    const int32_t *rows;       /* (Mq) trie rows of the queries, or NULL for 0 .. M-1 (Mq = M) */
    const int32_t *path_first; /* (M) offset into path */
    const int32_t *path_count; /* (M) depth of the row + 1, 1 .. path_max */
    const int32_t *path;       /* row numbers, root first */
    int32_t        q_stride;   /* elements */
    int32_t        kv_stride;  /* elements */
    int32_t        Mq, M, H, D;
    int32_t        path_max;   /* context length */
    ccu_dtype      dtype;
} ccu_attention_tree;

/* y[m] = table[ids[m]] + positions[at[m]], where ids from V on are rows of `learned` instead,
 * which are not rounded to dtype before the position is added. */
typedef struct ccu_embed_tokens {
    void          *y;         /* (M, C) dtype */
    const void    *table;     /* (V, C) dtype */
    const float   *learned;   /* (., C), row ids[m] - V, or NULL: all ids are below V */
    const float   *positions; /* (T, C) */
    const int32_t *ids;       /* (M) */
    const int32_t *at;        /* (M) 0 .. T-1 */
    int32_t        M, C, V;
    ccu_dtype      dtype;
} ccu_embed_tokens;

/* Windows of resized pictures, byte-equal with Pillow: y[b] is what item b's passes make of its
 * picture. Sizes vary from picture to picture; image/resize_batch.h packs them. */
typedef struct ccu_resize_crop {
    uint8_t               *y;       /* (B, S, S, 3) */
    const uint8_t         *pixels;  /* the pictures, where their items say */
    const int32_t         *tables;  /* their axes, S outputs each: base/resample.h */
    const ccu_resize_item *items;   /* (B) */
    uint8_t               *scratch; /* resize_crop_scratch() bytes, or NULL if that is 0 */
    size_t                 middle_bytes; /* between two passes, of all items; a multiple of 16 */
    int32_t                W_max;        /* of the items */
    int32_t                B, S;
} ccu_resize_crop;

typedef enum ccu_pixels {
    CCU_PIXELS_U8  = 0, /* (B, S, S, 3) u8, interleaved RGB */
    CCU_PIXELS_F32 = 1  /* (B, 3, S, S) f32, planar, already normalised */
} ccu_pixels;

/* Pixels to tokens: y[b,0] = class_token + positions[0], y[b,1+p] = patch p . w^T + b +
 * positions[1+p]; patches row-major, K index order (channel, ky, kx).
 *
 * Scaling and normalisation are folded into w and b (ccu_patch_fold in model/weights): with u the
 * 0..255 pixel, w multiplies (u - 128), which is exact in every dtype. Normalised f32 pixels v are
 * brought there by u - 128 = v * unscale[c] + unshift[c]. */
typedef struct ccu_patch_embed {
    void        *y;           /* (B, G*G + 1, C) dtype */
    const void  *pixels;
    const void  *w;           /* (C, 3*P*P) as linear_pack wrote it, folded */
    const float *b;           /* (C), folded */
    const float *class_token; /* (C) */
    const float *positions;   /* (G*G + 1, C) */
    void        *scratch;     /* patch_embed_scratch() bytes, or NULL if that is 0 */
    float        unscale[3];  /* 255 * std */
    float        unshift[3];  /* 255 * mean - 128 */
    ccu_pixels   kind;
    int32_t      B, S, P, C;
    ccu_dtype    dtype;
} ccu_patch_embed;

/* y[m] = x[rows[m]] */
typedef struct ccu_gather {
    void          *y;    /* (M, C) dtype */
    const void    *x;    /* (., C) dtype */
    const int32_t *rows; /* (M) */
    int32_t        M, C;
    ccu_dtype      dtype;
} ccu_gather;

/* y[m] = x[m] / max(|x[m]|, 1e-12) */
typedef struct ccu_normalise {
    float      *y; /* (M, E); may equal x when dtype is f32 */
    const void *x; /* (M, E) dtype */
    int32_t     M, E;
    ccu_dtype   dtype;
} ccu_normalise;

/* y[ids[g]] += x[rows[i]], i = first[g] .. first[g+1]-1 in that order, added up in f32.
 * Templates of a class, the gradient of gathered rows and that of context vectors are sums of such
 * rows. */
typedef struct ccu_segment_sum {
    void          *y;     /* (., C) y_dtype, in and out */
    const void    *x;     /* (., C) x_dtype */
    const int32_t *ids;   /* (groups), each at most once */
    const int32_t *first; /* (groups + 1) */
    const int32_t *rows;  /* (first[groups]) rows of x */
    int32_t        groups, C;
    ccu_dtype      x_dtype, y_dtype; /* f32 or the tower's; y_dtype f32 or equal to x_dtype */
} ccu_segment_sum;

/* The top classes of each row and their probabilities under a softmax over all K classes of
 * scale * cosine, without storing (B, K) unless it is asked for. Best first, ties by lowest class
 * index. A NaN score counts as -inf. */
typedef struct ccu_scores_topk {
    int32_t     *index;       /* (B, top) */
    float       *cosine;      /* (B, top) */
    float       *probability; /* (B, top) */
    float       *all;         /* (B, K) every score, NaN as it is; NULL: not wanted */
    const float *x;           /* (B, E) unit rows */
    const float *bank;        /* (K, E) unit rows */
    void        *scratch;     /* scores_topk_scratch() bytes, or NULL if that is 0 */
    float        scale;
    int32_t      B, K, E, top; /* 1 <= top <= K, top <= 1024 */
} ccu_scores_topk;

/* ---- Backward: gradients of the inputs; weights are frozen ------------------------------------
 *
 * dx = dy . w has no entry: it is linear with the transposed weights, packed once more.
 * Sums over rows are taken in one order: results do not depend on the number of threads. */

/* dx = dy * act'(x), x what the activation was applied to */
typedef struct ccu_act_backward {
    void       *dx; /* (M, N) dtype; may equal dy or x */
    const void *dy; /* (M, N) dtype */
    const void *x;  /* (M, N) dtype */
    int32_t     M, N;
    ccu_act     act; /* not NONE */
    ccu_dtype   dtype;
} ccu_act_backward;

/* With x^ = (x - mean) rstd and u = dy * w: dx = rstd (u - mean(u) - x^ mean(u x^)) + r.
 * mean and rstd are computed again from x, as in layernorm. */
typedef struct ccu_layernorm_backward {
    void        *dx; /* (M, C) dtype; may equal dy or r */
    const void  *dy; /* (M, C) dtype */
    const void  *x;  /* (M, C) dtype: layernorm's input */
    const float *w;  /* (C) */
    const void  *r;  /* (M, C) dtype, or NULL */
    int32_t      M, C;
    float        eps;
    ccu_dtype    dtype;
} ccu_layernorm_backward;

/* Gradients of attention_tree. With P the softmax of query i over its path, S its scores:
 * dP_j = dy . v_j; dS = P (dP - sum P dP) / sqrt D; dq = sum_j dS_j k_j; and over the queries that
 * have row j on their path: dk_j = sum dS_j q, dv_j = sum P_j dy, in the order of the queries.
 *
 * Rows stand in preorder, so the queries below row j are a run: below_first[j] .. below_end[j]-1,
 * numbers of queries (not rows). P is computed again. */
typedef struct ccu_attention_tree_backward {
    void          *dq;          /* (Mq, H * D) dtype, rows q_stride apart */
    void          *dk;          /* (M, H * D) dtype, rows kv_stride apart */
    void          *dv;          /* (M, H * D) dtype, rows kv_stride apart */
    const void    *dy;          /* (Mq, H * D) dtype */
    const void    *q;           /* (Mq, H * D) dtype, rows q_stride apart */
    const void    *k;           /* (M, H * D) dtype, rows kv_stride apart */
    const void    *v;           /* (M, H * D) dtype, rows kv_stride apart */
    const int32_t *rows;        /* (Mq) ascending trie rows of the queries, or NULL for 0 .. M-1 */
    const int32_t *path_first;  /* (M) as in ccu_attention_tree */
    const int32_t *path_count;  /* (M) depth of the row + 1: row j is entry path_count[j]-1 of the
                                   path of every row below it */
    const int32_t *path;        /* (path_used) */
    const int32_t *below_first; /* (M) */
    const int32_t *below_end;   /* (M); == below_first[j]: no query below, dk and dv are 0 */
    void          *scratch;     /* attention_tree_backward_scratch() bytes: P and dS of every
                                   entry of every query's path */
    size_t         path_used;   /* entries of path */
    int32_t        q_stride;    /* elements, of q and dq */
    int32_t        kv_stride;   /* elements, of k, v, dk and dv */
    int32_t        Mq, M, H, D;
    int32_t        path_max;    /* context length */
    ccu_dtype      dtype;
} ccu_attention_tree_backward;

/* dx = (dy - y (y . dy)) / |x|, y = x / |x|; dy / 1e-12 where |x| is below that (PyTorch) */
typedef struct ccu_normalise_backward {
    void        *dx; /* (M, E) dtype; may equal x */
    const float *dy; /* (M, E) */
    const void  *x;  /* (M, E) dtype: normalise's input */
    int32_t      M, E;
    ccu_dtype    dtype;
} ccu_normalise_backward;

/* Cross-entropy of scale * cosine, and its gradient with respect to the class rows:
 * z[b,k] = scale x[b] . bank[k]; loss[b] = log sum_k exp z[b,k] - z[b, label[b]];
 * dbank[k] = sum_b weight scale (softmax(z[b])[k] - [k == label[b]]) x[b].
 * own_banks: every picture has class rows of its own, bank and dbank are (B, K, E) and nothing is
 * summed. loss is not multiplied by weight. */
typedef struct ccu_softmax_cross_entropy {
    float         *loss;    /* (B) */
    int32_t       *best;    /* (B) class of the largest z, the lowest on ties */
    float         *dbank;   /* (K, E) or (B, K, E); may not overlap bank */
    const float   *x;       /* (B, E) unit rows */
    const float   *bank;    /* (K, E) or (B, K, E) unit rows */
    const int32_t *label;   /* (B) 0 .. K-1 */
    void          *scratch; /* softmax_cross_entropy_scratch() bytes: (B, K) f32 */
    float          scale, weight;
    int32_t        B, K, E;
    bool           own_banks;
} ccu_softmax_cross_entropy;

/* ---- The table ------------------------------------------------------------------------------- */

struct ccu_ops {
    const char *name;   /* "cpu", "cuda" */

    /* Memory. slab_alloc gives 64-byte aligned backend memory or NULL (and records NOMEM);
     * upload, download and copy are ordered with the ops. finish waits for everything, returns
     * the first failure since the last finish, copies it to error and clears it. */
    void *(*slab_alloc)(ccu_backend *be, size_t bytes);
    void (*slab_free)(ccu_backend *be, void *slab);
    void (*upload)(ccu_backend *be, void *to, const void *host, size_t bytes);
    void (*download)(ccu_backend *be, void *host, const void *from, size_t bytes);
    void (*copy)(ccu_backend *be, void *to, const void *from, size_t bytes);
    clipcu_status (*finish)(ccu_backend *be, clipcu_error *error);
    void (*close)(ccu_backend *be); /* frees the backend itself */

    /* As finish without waiting: what is queued goes on, and a failure known by now is returned.
     * Downloads are not complete before a finish. */
    clipcu_status (*submit)(ccu_backend *be, clipcu_error *error);

    /* A sequence of ops that repeats with the same pointers may be recorded once and replayed in
     * one go. key names the sequence within this backend. No upload, download or finish inside.
     *
     *     if (!ops->replay(be, key)) {
     *         ops->record(be, key);
     *         queue(be);
     *         if (!ops->record_end(be)) { queue(be); } // what was recorded cannot run: once more
     *     }
     *
     * A backend need not record anything: replay is false then and record_end true. */
    bool (*replay)(ccu_backend *be, uint64_t key);
    void (*record)(ccu_backend *be, uint64_t key);
    bool (*record_end)(ccu_backend *be);

    /* Weights in the layout this backend multiplies fastest. linear_bytes is pure. host_w is
     * (N, K) f32 host memory; packing rounds to dtype, or as `weights` says. */
    size_t (*linear_bytes)(ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype,
                           ccu_weights weights);
    void (*linear_pack)(ccu_backend *be, void *to, const float *host_w, int32_t N, int32_t K,
                        ccu_dtype dtype, ccu_weights weights);

    /* Scratch an op wants, from its dims (pointers are not read). Pure. */
    size_t (*resize_crop_scratch)(ccu_backend *be, const ccu_resize_crop *op);
    size_t (*patch_embed_scratch)(ccu_backend *be, const ccu_patch_embed *op);
    size_t (*scores_topk_scratch)(ccu_backend *be, const ccu_scores_topk *op);
    size_t (*attention_tree_backward_scratch)(ccu_backend *be,
                                              const ccu_attention_tree_backward *op);
    size_t (*softmax_cross_entropy_scratch)(ccu_backend *be, const ccu_softmax_cross_entropy *op);

    void (*resize_crop)(ccu_backend *be, const ccu_resize_crop *op);
    void (*patch_embed)(ccu_backend *be, const ccu_patch_embed *op);
    void (*embed_tokens)(ccu_backend *be, const ccu_embed_tokens *op);
    void (*layernorm)(ccu_backend *be, const ccu_layernorm *op);
    void (*linear)(ccu_backend *be, const ccu_linear *op);
    void (*attention)(ccu_backend *be, const ccu_attention *op);
    void (*attention_tree)(ccu_backend *be, const ccu_attention_tree *op);
    void (*gather)(ccu_backend *be, const ccu_gather *op);
    void (*normalise)(ccu_backend *be, const ccu_normalise *op);
    void (*segment_sum)(ccu_backend *be, const ccu_segment_sum *op);
    void (*scores_topk)(ccu_backend *be, const ccu_scores_topk *op);
    void (*act_backward)(ccu_backend *be, const ccu_act_backward *op);
    void (*layernorm_backward)(ccu_backend *be, const ccu_layernorm_backward *op);
    void (*attention_tree_backward)(ccu_backend *be, const ccu_attention_tree_backward *op);
    void (*normalise_backward)(ccu_backend *be, const ccu_normalise_backward *op);
    void (*softmax_cross_entropy)(ccu_backend *be, const ccu_softmax_cross_entropy *op);
};

#endif
