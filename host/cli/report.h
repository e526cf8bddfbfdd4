/* Messages to standard error: "clipcu: ...", one printable line each. */
#ifndef CCU_CLI_REPORT_H
#define CCU_CLI_REPORT_H

/* File names in a message cannot disturb a terminal: control characters become '?'. */
void ccu_report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
