/* Pictures in archives: tar shards as webdataset lays them out, plain or compressed (gzip, bzip2,
 * xz, zstd), through libarchive.
 *
 * Members that follow each other and whose names are the same up to the first dot behind the last
 * slash are one sample. Its pictures are handed out one at a time; what its .txt and .json members
 * hold goes with each of them. Members whose names begin with a dot are passed over, as are those
 * that are nothing of the three. Memory is that of one sample.
 *
 * libarchive ends the process where it gets none of the few hundred bytes that it asks for. */
#ifndef CCU_STREAM_SHARD_H
#define CCU_STREAM_SHARD_H

#include "base/file.h"
#include "stream/buffer.h"

#define CCU_SHARD_SAMPLE_MAX 4 /* pictures that are held until the words behind them are read */

typedef struct ccu_shard_picture {
    char        *path;  /* owned: SHARD/MEMBER */
    uint8_t     *bytes; /* owned; NULL if there is an error, or where they are not wanted */
    size_t       bytes_count;
    clipcu_error error;
} ccu_shard_picture;

/* Zeroed is closed. */
typedef struct ccu_shard {
    struct archive *archive; /* NULL: at its end */
    ccu_file        file;
    uint8_t        *block; /* owned: what libarchive reads from */
    const char     *name;  /* borrowed */
    char            key[CCU_PATH_MAX]; /* of the sample */
    char            member[CCU_PATH_MAX];
    size_t          member_bytes; /* by its header */
    bool            at_end; /* nothing behind the member can be read */
    bool            member_waits; /* it begins the next sample */
    ccu_shard_picture pictures[CCU_SHARD_SAMPLE_MAX];
    int32_t         count, next; /* of pictures */
    int32_t         in_sample;   /* pictures of this key so far */
    ccu_buffer      text, json; /* of the sample; json is checked and on one line */
    ccu_buffer      sample;
    int64_t         found;       /* pictures and errors */
    int64_t         left_out;    /* .txt and .json members: too long, or no JSON object */
} ccu_shard;

/* True for names that end like an archive's: .tar, .tar.gz, .tgz and so on. */
bool ccu_shard_is(const char *name);

/* IO, NOMEM; FORMAT if it is no regular file. What it holds is looked at later. */
clipcu_status ccu_shard_open(const char *path, ccu_shard *shard, clipcu_error *error);
void          ccu_shard_close(ccu_shard *shard);

/* The next picture: path, or error; bytes are the caller's, who takes them out. *sample is "" or
 * members of a JSON object, each with a comma before it: ,"text":"..","json":{..}. An archive that
 * breaks off is an error of the picture there, or one with the archive's path. False at the end.
 * keep false: pictures are passed over, bytes NULL, and *sample may lack what follows.
 * picture and sample live until the next call. */
bool ccu_shard_next(ccu_shard *shard, bool keep, ccu_shard_picture **picture, const char **sample);

#endif
