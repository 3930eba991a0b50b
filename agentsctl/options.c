
/*
 * The command line.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agentsctl.h"


static const agentsctl_command_t *agentsctl_options_command(
    const agentsctl_command_t *commands, const char *group, const char *verb);
static int agentsctl_options_word(agentsctl_t *ctl,
    const agentsctl_command_t *commands, const char **group, const char *word);
static int agentsctl_options_option(agentsctl_t *ctl, const char *option,
    const char *next, int *used);
static int agentsctl_options_check(const agentsctl_t *ctl);
static void agentsctl_options_usage(const agentsctl_command_t *commands,
    FILE *out);
static void agentsctl_options_usage_of(const agentsctl_command_t *command,
    FILE *out);


int
agentsctl_options_read(agentsctl_t *ctl, const agentsctl_command_t *commands,
    int argc, char **argv)
{
    int          i, rc, used;
    const char  *group;

    group = NULL;
    ctl->store = getenv("AGENTS_STORE");

    for (i = 1; i < argc; i++) {

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            ctl->command = NULL;
            agentsctl_options_usage(commands, stdout);
            return AGENTSCTL_OK;
        }

        used = 0;

        if (argv[i][0] == '-') {
            rc = agentsctl_options_option(ctl, argv[i], argv[i + 1], &used);

        } else {
            rc = agentsctl_options_word(ctl, commands, &group, argv[i]);
        }

        if (rc != AGENTSCTL_OK) {
            return rc;
        }

        i += used;
    }

    if (ctl->command == NULL) {
        if (group) {
            agentsctl_error("\"%s\" needs a second word", group);
        }

        agentsctl_options_usage(commands, stderr);
        return AGENTSCTL_USAGE;
    }

    return agentsctl_options_check(ctl);
}


/* A word that is no option: the command's one or two words, its argument. */

static int
agentsctl_options_word(agentsctl_t *ctl, const agentsctl_command_t *commands,
    const char **group, const char *word)
{
    const agentsctl_command_t  *c;

    if (ctl->command) {

        if (ctl->command->argument == NULL || ctl->argument) {
            agentsctl_error("\"%s\" is too much", word);
            agentsctl_options_usage_of(ctl->command, stderr);
            return AGENTSCTL_USAGE;
        }

        ctl->argument = word;

        return AGENTSCTL_OK;
    }

    if (*group) {
        ctl->command = agentsctl_options_command(commands, *group, word);

        if (ctl->command) {
            return AGENTSCTL_OK;
        }

        agentsctl_error("\"%s %s\" is no command", *group, word);
        agentsctl_options_usage(commands, stderr);

        return AGENTSCTL_USAGE;
    }

    for (c = commands; c->group; c++) {

        if (strcmp(c->group, word) == 0) {
            *group = word;

            if (c->verb == NULL) {
                ctl->command = c;
            }

            return AGENTSCTL_OK;
        }
    }

    agentsctl_error("\"%s\" is no command", word);
    agentsctl_options_usage(commands, stderr);

    return AGENTSCTL_USAGE;
}


static const agentsctl_command_t *
agentsctl_options_command(const agentsctl_command_t *commands,
    const char *group, const char *verb)
{
    const agentsctl_command_t  *c;

    for (c = commands; c->group; c++) {
        if (strcmp(c->group, group) == 0 && c->verb
            && strcmp(c->verb, verb) == 0)
        {
            return c;
        }
    }

    return NULL;
}


/* "--name value", "--name=value", "--name"; "used": how many of what follows */

static int
agentsctl_options_option(agentsctl_t *ctl, const char *option,
    const char *next, int *used)
{
    size_t                     i, len;
    const char                *value;
    agentsctl_given_t         *given;
    const agentsctl_option_t  *o;

    len = strcspn(option, "=");
    value = option[len] ? &option[len + 1] : NULL;

    if (len == sizeof("--store") - 1 && strncmp(option, "--store", len) == 0) {
        o = NULL;
        given = NULL;

    } else {

        if (ctl->command == NULL) {
            agentsctl_error("\"%.*s\" comes after the command", (int) len,
                            option);
            return AGENTSCTL_USAGE;
        }

        for (i = 0; i < AGENTSCTL_OPTIONS; i++) {
            o = &ctl->command->options[i];

            if (o->name && strlen(o->name) == len
                && strncmp(o->name, option, len) == 0)
            {
                break;
            }
        }

        if (i == AGENTSCTL_OPTIONS) {
            agentsctl_error("\"%.*s\" is no option of it", (int) len, option);
            agentsctl_options_usage_of(ctl->command, stderr);
            return AGENTSCTL_USAGE;
        }

        given = &ctl->given[i];
    }

    if (o && o->value == NULL) {

        if (value) {
            agentsctl_error("\"%.*s\" has no value", (int) len, option);
            return AGENTSCTL_USAGE;
        }

        value = "";

    } else if (value == NULL) {

        if (next == NULL) {
            agentsctl_error("\"%s\" needs a value", option);
            return AGENTSCTL_USAGE;
        }

        value = next;
        *used = 1;
    }

    if (given == NULL) {
        ctl->store = value;
        return AGENTSCTL_OK;
    }

    if (given->n == AGENTSCTL_VALUES) {
        agentsctl_error("\"%.*s\" is given too often", (int) len, option);
        return AGENTSCTL_USAGE;
    }

    given->values[given->n++] = value;

    return AGENTSCTL_OK;
}


static int
agentsctl_options_check(const agentsctl_t *ctl)
{
    size_t                     i;
    const agentsctl_option_t  *o;

    if (ctl->command->argument && ctl->argument == NULL) {
        agentsctl_error("%s is missing", ctl->command->argument);
        agentsctl_options_usage_of(ctl->command, stderr);
        return AGENTSCTL_USAGE;
    }

    for (i = 0; i < AGENTSCTL_OPTIONS; i++) {
        o = &ctl->command->options[i];

        if (o->name && o->required && ctl->given[i].n == 0) {
            agentsctl_error("%s %s is missing", o->name, o->value);
            agentsctl_options_usage_of(ctl->command, stderr);
            return AGENTSCTL_USAGE;
        }
    }

    if (ctl->command->needs != AGENTSCTL_STORELESS
        && (ctl->store == NULL || ctl->store[0] == '\0'))
    {
        agentsctl_error("which store? Give --store sqlite:PATH or --store "
                        "postgres:CONNINFO, or set AGENTS_STORE to it");
        return AGENTSCTL_USAGE;
    }

    return AGENTSCTL_OK;
}


const char *
agentsctl_options_value(const agentsctl_t *ctl, const char *name)
{
    const agentsctl_given_t  *given;

    given = agentsctl_options_given(ctl, name);

    return given && given->n ? given->values[given->n - 1] : NULL;
}


const agentsctl_given_t *
agentsctl_options_given(const agentsctl_t *ctl, const char *name)
{
    size_t  i;

    for (i = 0; i < AGENTSCTL_OPTIONS; i++) {
        if (ctl->command->options[i].name
            && strcmp(ctl->command->options[i].name, name) == 0)
        {
            return &ctl->given[i];
        }
    }

    return NULL;
}


int
agentsctl_options_time(const char *text, int64_t *ms)
{
    char       *end;
    size_t      i;
    long long   n;

    static const struct {
        const char  *unit;
        int64_t      ms;
    } units[] = {
        { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
    };

    *ms = 0;

    if (text == NULL) {
        return 0;
    }

    if (text[0] >= '0' && text[0] <= '9') {
        n = strtoll(text, &end, 10);

        for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {

            /* a thousand years are enough */

            if (strcmp(end, units[i].unit) == 0 && n > 0
                && n <= 1000 * 366 * (86400000 / units[i].ms))
            {
                *ms = n * units[i].ms;
                return 0;
            }
        }
    }

    agentsctl_error("\"%s\" is no time: it is a number with s, m, h or d, "
                    "such as 30d", text);

    return -1;
}


static void
agentsctl_options_usage(const agentsctl_command_t *commands, FILE *out)
{
    const agentsctl_command_t  *c;

    fputs("usage: agentsctl [--store STORE] COMMAND\n"
          "\n"
          "STORE is sqlite:PATH or postgres:CONNINFO, as in agents_store; "
          "without it\n"
          "the environment's AGENTS_STORE.\n\n", out);

    for (c = commands; c->group; c++) {
        fputs("  ", out);
        agentsctl_options_usage_of(c, out);
        fprintf(out, "      %s\n", c->summary);
    }

    fputs("\nExit status: 0, 1 if it could not be done, 2 if it was not "
          "understood.\n", out);
}


static void
agentsctl_options_usage_of(const agentsctl_command_t *command, FILE *out)
{
    size_t                     i;
    const agentsctl_option_t  *o;

    fprintf(out, "agentsctl %s", command->group);

    if (command->verb) {
        fprintf(out, " %s", command->verb);
    }

    if (command->argument) {
        fprintf(out, " %s", command->argument);
    }

    for (i = 0; i < AGENTSCTL_OPTIONS; i++) {
        o = &command->options[i];

        if (o->name) {
            fprintf(out, o->required ? " %s%s%s" : " [%s%s%s]", o->name,
                    o->value ? " " : "", o->value ? o->value : "");
        }
    }

    fputc('\n', out);
}
