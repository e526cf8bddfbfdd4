/* Opens the page of --html; see html.h. */
#include "cli/html.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 512

/* The last part of a folder's path, without slashes behind it. */
static void name_of(const char *folder, char *out, size_t bytes_max) {
    size_t bytes = strlen(folder);
    while (bytes > 1 && folder[bytes - 1] == '/') { bytes--; }
    size_t begin = bytes;
    while (begin > 0 && folder[begin - 1] != '/') { begin--; }
    if (begin == bytes) { begin = 0; } /* "/" */
    (void)snprintf(out, bytes_max, "%.*s", (int)(bytes - begin), folder + begin); /* cut is fine */
}

clipcu_status ccu_html_open(const ccu_arguments *arguments, const clipcu_info *info,
                            ccu_page_kind kind, const char *what, ccu_page **out,
                            clipcu_error *error) {
    char model[TEXT_BYTES]   = "";
    char details[TEXT_BYTES] = "";
    *out                     = NULL;
    if (arguments->html == NULL) { return CLIPCU_OK; }
    (void)snprintf(details, sizeof details, "%s", what); /* cut is fine, also below */
    if (info != NULL) {
        name_of(info->model_dir, model, sizeof model);
        (void)snprintf(details, sizeof details, "%s%s%s, %s", what, what[0] == '\0' ? "" : ", ",
                       info->precision, info->device);
    }
    return ccu_page_open(&(ccu_page_options){ .path       = arguments->html,
                                              .kind       = kind,
                                              .model      = model,
                                              .details    = details,
                                              .items_max  = arguments->html_max,
                                              .image_size = info == NULL ? 0 : info->image_size },
                         out, error);
}
