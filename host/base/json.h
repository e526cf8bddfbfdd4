/* JSON through cJSON, with typed look-ups that say what was expected and what was found. */
#ifndef CCU_BASE_JSON_H
#define CCU_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/status.h"

/* Parses bytes (need not be NUL-terminated). `name` stands in messages (a path). FORMAT if it is
 * not one JSON object; NOMEM. Freed with cJSON_Delete. */
clipcu_status ccu_json_parse(const char *name, const uint8_t *data, size_t bytes, cJSON **out,
                             clipcu_error *error);

/* The same for a JSON value of any kind. */
clipcu_status ccu_json_parse_value(const char *name, const uint8_t *data, size_t bytes,
                                   cJSON **out, clipcu_error *error);

/* Reads and parses a file of at most bytes_max bytes. */
clipcu_status ccu_json_read(const char *path, size_t bytes_max, cJSON **out, clipcu_error *error);

/* True if key is there and not null. object may be NULL. */
bool ccu_json_has(const cJSON *object, const char *key);

/* Look-ups of one key. An absent or null key (or a NULL object) leaves *value as it is, so the
 * caller puts the default there first. A value of another type or outside min .. max is FORMAT,
 * with `name` and the key in the message. */
clipcu_status ccu_json_int(const cJSON *object, const char *name, const char *key, int32_t min,
                           int32_t max, int32_t *value, clipcu_error *error);
clipcu_status ccu_json_double(const cJSON *object, const char *name, const char *key,
                              double *value, clipcu_error *error);
clipcu_status ccu_json_bool(const cJSON *object, const char *name, const char *key, bool *value,
                            clipcu_error *error);
/* *value points into object. */
clipcu_status ccu_json_string(const cJSON *object, const char *name, const char *key,
                              const char **value, clipcu_error *error);

#endif
