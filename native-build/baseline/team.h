/* A task in parts on a team of threads that is started at first use and kept: waits spinning for a moment, then sleeps. */
#pragma once

#include <stdint.h>

typedef void (*isobit_task)(void* context, int32_t part, int32_t parts);

/* Runs part 0 on the caller, the others on the team, and returns when all are done. */
void isobit_team_run(isobit_task task, void* context, int32_t parts);
