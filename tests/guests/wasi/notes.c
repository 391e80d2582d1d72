// What each of the three programs here does: print, read, append, and try to get out.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT(name) __attribute__((export_name(#name))) int name(void)

static int count;

static FILE *in_folder(const char *name, const char *mode) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("FOLDER"), name);
    return fopen(path, mode);
}

EXPORT(plugin_init) {
    fputs("ready\n", stderr);
    return 0;
}

EXPORT(on_request) {
    char line[64] = "";
    printf("request %d %s\n", ++count, getenv("MODE"));
    FILE *in = in_folder("in.txt", "r");
    if (in == NULL) return -1;
    fgets(line, sizeof line, in);
    fclose(in);
    line[strcspn(line, "\n")] = 0;
    printf("read %s\n", line);
    FILE *out = in_folder("out.txt", "a");
    if (out == NULL) return -1;
    fprintf(out, "line %d\n", count);
    fclose(out);
    printf("escape %s\n", in_folder("../secret", "r") ? "made" : "refused");
    printf("clock %s\n", time(NULL) > 1700000000 ? "runs" : "stands");
    return 0;
}
