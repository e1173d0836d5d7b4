/* The `tarn` command: global options, the table of commands, exit status. */
#include "base/machine.h"
#include "cli/cli.h"
#include "document/document.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum tn_code no_such_command(const char *word, struct tn_error *err)
{
    size_t count, named = 0;
    const struct cli_command *commands = cli_commands(&count);
    const char *names[64];
    for (size_t i = 0; i < count && named < TN_COUNT(names); i++)
        if (commands[i].summary)
            names[named++] = commands[i].name;
    enum tn_code code = tn_fail(err, TN_EUSAGE, "there is no command \"%s\"", word);
    const char *near = tn_suggest(word, names, named);
    if (near)
        tn_error_hint(err, "did you mean `tarn %s`? `tarn help` lists all", near);
    else
        tn_error_hint(err, "`tarn help` lists the commands");
    return code;
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void take_globals(struct cli *cli, const struct cli_args *args)
{
    cli->lake_flag = cli_args_text(args, "lake", cli->lake_flag);
    if (cli_args_has(args, "server")) {
        cli->server = cli_args_text(args, "server", NULL);
        cli->server_by_flag = true;
    } else if (cli_args_has(args, "lake") && !cli->server_by_flag) {
        cli->server = NULL; /* a lake named here outranks a server named by the environment */
    }
    cli->json |= cli_args_has(args, "json");
    cli->quiet |= cli_args_has(args, "quiet");
    size_t count;
    const char *const *sets = cli_args_all(args, cli->arena, "set", &count);
    for (size_t i = 0; i < count; i++)
        cli_set(cli, "%s", sets[i]);
}

static enum tn_code check_arity(const struct cli_command *command, const struct cli_args *args, struct tn_error *err)
{
    if (args->word_count >= command->min && args->word_count <= command->max)
        return TN_OK;
    enum tn_code code = args->word_count < command->min
                            ? tn_fail(err, TN_EUSAGE, "tarn %s needs more arguments", command->name)
                            : tn_fail(err, TN_EUSAGE, "tarn %s: \"%s\" is one argument too many", command->name,
                                      args->words[command->max]);
    tn_error_hint(err, "tarn %s %s", command->name, command->arguments);
    return code;
}

static enum tn_code run_command(struct cli *cli, const struct cli_command *command, int argc, char *const *argv,
                                struct tn_error *err)
{
    static const struct cli_options none;
    struct cli_args args;
    int used;
    /* Completion reads unfinished lines: nothing there is an option of ours. */
    if (!command->summary) {
        args = (struct cli_args){.words = TN_ARENA_ARRAY(cli->arena, const char *, (size_t)argc + 1)};
        for (int i = 0; i < argc; i++)
            args.words[args.word_count++] = argv[i];
        return command->run(cli, &args, err);
    }
    TN_TRY(cli_args_parse(cli->arena, command->options.count ? &command->options : &none, &cli_global_options, argc,
                          argv, false, &args, &used, err));
    take_globals(cli, &args);
    if (cli_args_has(&args, "help")) {
        TN_AUTO_BUF text = {0};
        cli_help_command(cli, command, &text);
        return cli_print(cli, &text, err);
    }
    TN_TRY(check_arity(command, &args, err));
    return command->run(cli, &args, err);
}

static enum tn_code dispatch(struct cli *cli, int argc, char *const *argv, struct tn_error *err)
{
    struct cli_args globals;
    int used;
    TN_TRY(cli_args_parse(cli->arena, NULL, &cli_global_options, argc, argv, true, &globals, &used, err));
    take_globals(cli, &globals);
    if (cli_args_has(&globals, "version"))
        return cmd_version(cli, &globals, err);
    if (globals.word_count == 0) {
        TN_AUTO_BUF text = {0};
        cli_help_overview(cli, &text);
        if (cli_args_has(&globals, "help"))
            return cli_print(cli, &text, err);
        (void)fputs(text.data, stderr);
        cli->exit_status = tn_code_exit_status(TN_EUSAGE);
        return TN_OK;
    }
    const struct cli_command *command = cli_command_find(globals.words[0]);
    if (!command)
        return no_such_command(globals.words[0], err);
    if (cli_args_has(&globals, "help")) {
        TN_AUTO_BUF text = {0};
        cli_help_command(cli, command, &text);
        return cli_print(cli, &text, err);
    }
    return run_command(cli, command, argc - used, argv + used, err);
}

int main(int argc, char **argv)
{
    if (argc > 1 && tn_streq(argv[1], DOCUMENT_WORKER))
        return document_worker_main();
    tn_machine_few_heaps();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file beyond ulimit -f is an error of one write, not the end */
    tn_fault_init();
    TN_CLEANUP(tn_arena_free_p) struct tn_arena *arena = tn_arena_new();
    struct cli cli = {
        .arena = arena,
        .term = term_detect(),
        .lake_flag = from_environment("TARN_LAKE"),
        .server = from_environment("TARN_SERVER"),
        .token = from_environment("TARN_TOKEN"),
    };
    struct tn_error error = {0};
    enum tn_code code = tn_random_init(&error);
    if (code == TN_OK)
        code = dispatch(&cli, argc - 1, argv + 1, &error);
    cli_release(&cli);
    if (code == TN_OK)
        return cli.exit_status;
    if (cli.pipe_closed)
        return 0; /* `tarn sql ... | head` has what it wanted */
    cli_error_print(&cli, &error);
    return tn_code_exit_status(code);
}
