/* Golden files; see golden_file.h. */
#include "support/golden_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static void read_texts(golden_file *golden) {
    const char  *json  = ccu_st_metadata(golden->file, "golden");
    cJSON       *notes = NULL;
    clipcu_error error = {0};
    if (json == NULL) { fail_msg("%s: no metadata \"golden\"", golden->model); }
    if (ccu_json_parse(golden->model, (const uint8_t *)json, strlen(json), &notes, &error) !=
        CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    const cJSON *text = NULL;
    cJSON_ArrayForEach(text, cJSON_GetObjectItemCaseSensitive(notes, "texts")) {
        const size_t bytes = strlen(text->valuestring) + 1;
        char        *copy  = malloc(bytes);
        assert_true(golden->texts_count < GOLDEN_TEXTS_MAX);
        assert_non_null(copy);
        memcpy(copy, text->valuestring, bytes);
        golden->texts[golden->texts_count++] = copy;
    }
    cJSON_Delete(notes);
}

golden_file golden_open(const char *folder, const char *model) {
    golden_file  golden = {.model = model};
    clipcu_error error  = {0};
    char         path[1024];
    (void)snprintf(path, sizeof path, "%s/%s.golden.safetensors", folder, model);
    if (ccu_st_open(path, &golden.file, &error) != CLIPCU_OK ||
        ccu_file_map(ccu_st_storage(golden.file), &golden.map, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    read_texts(&golden);
    return golden;
}

void golden_close(golden_file *golden) {
    for (int32_t i = 0; i < golden->texts_count; i++) { free(golden->texts[i]); }
    ccu_map_close(&golden->map);
    ccu_st_close(golden->file);
    *golden = (golden_file){0};
}

bool golden_has(const golden_file *golden, const char *name) {
    return ccu_st_find(golden->file, name) != NULL;
}

golden_tensor golden_get(const golden_file *golden, const char *name, const char *dtype) {
    const ccu_st_entry *entry = ccu_st_find(golden->file, name);
    if (entry == NULL) { fail_msg("%s: no tensor %s", golden->model, name); }
    if (strcmp(entry->dtype, dtype) != 0) {
        fail_msg("%s: %s is %s, expected %s", golden->model, name, entry->dtype, dtype);
    }
    golden_tensor out = {.data = golden->map.data + entry->offset, .shape = {1, 1, 1, 1},
                         .count = 1};
    assert_true(entry->rank <= 4);
    assert_true(strcmp(dtype, "U8") == 0 || entry->offset % 4 == 0);
    for (int32_t i = 0; i < entry->rank; i++) {
        out.shape[i] = entry->shape[i];
        out.count *= entry->shape[i];
    }
    return out;
}

const float *golden_f32(const golden_file *golden, const char *name) {
    return golden_get(golden, name, "F32").data;
}
