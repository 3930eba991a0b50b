# A database of the first release is brought up to date and goes on, and what
# the C tests of the queries find on SQLite holds on PostgreSQL.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $top = "$FindBin::Bin/..";
my $conversation = '01890000-0000-7000-8000-000000000001';
my $run = '01890000-0000-7000-8000-000000000002';

for my $store (AgentsTest->stores) {
    subtest "upgrade on $store" => \&upgrade, $store;
}

if (grep { $_ eq 'postgres' } AgentsTest->stores) {
    for my $program (qw(test_store test_store_lists test_store_leases)) {
        subtest "$program on postgres" => \&unit_program, $program;
    }
}

done_testing;


# The schema of 0001 with a conversation and a run, made without the module.
sub upgrade {
    my ($store) = @_;
    my $t = AgentsTest->new(store => 'sqlite',
        auth => 'agents_auth variables acme ann "read write";');
    my $psql;

    if ($store eq 'postgres') {
        $t->{postgres} = AgentsTest::Postgres->shared;
        $t->{store} = $t->{postgres}->database;
        $psql = sub { $t->{postgres}->psql($t->{store}, $_[0]) };

    } else {
        my ($file) = $t->{store} =~ /^sqlite:(.*)/;
        $psql = sub {
            open my $in, '|-', 'sqlite3', $file or die "sqlite3: $!\n";
            print $in $_[0];
            close $in or die "sqlite3 failed\n";
            return;
        };
    }

    $psql->(AgentsTest::slurp("$top/sql/$store/0001_init.sql"));
    $psql->(old_rows());

    if ($store eq 'postgres') {
        my ($status, $out) = $t->ctl_status('migrate');
        is $status, 0, 'agentsctl migrate';
        like $out, qr/migrated from 1\b/, 'from version 1';
    }
    $t->start;

    my $list = $t->get("/agents/conversations/$conversation/runs");
    is $list->{status}, 200, 'the runs of an old conversation';
    is $list->{json}{total_records}, 1, 'one';
    is_deeply $list->{json}{records},
              [ $t->get("/agents/runs/$run")->{json} ], 'as it is read alone';
    is $list->{json}{records}[0]{final_text}, 'old', 'it was kept';

    my $next = $t->finished($t->run({ id => $conversation, version => 0 },
                                    'hello'));
    is $next->{status}, 'completed', 'a new run of it';
    is_deeply [ map { $_->{id} } @{$t->get(
        "/agents/conversations/$conversation/runs")->{json}{records}} ],
              [ $next->{id}, $run ], 'comes first';
    $t->clean;
    return;
}


sub old_rows {
    my $defaults = qq({"model":"$AgentsTest::MODEL","data_plane_id":)
        . qq("$AgentsTest::PLANE","execution_cluster":"shared",)
        . '"max_iterations":3,"max_tokens":100,"temperature":0,'
        . '"output_format_schema":null,"mcp_servers":[],"tools":[]}';
    return <<"SQL";
INSERT INTO agents_conversations (company_id, user_id, id, name, name_rev,
    version, created_at, updated_at, defaults)
VALUES ('acme', 'ann', '$conversation', 'old', 0, 0, 1, 1, '$defaults');
INSERT INTO agents_runs (company_id, user_id, id, conversation_id, api,
    client_op_id, client_op_key, fingerprint, status, epoch, takeovers, rev,
    base_version, cancel, iterations_used, prompt_tokens, completion_tokens,
    total_tokens, cache_read_tokens, cache_write_tokens, created_at,
    finished_at, job_ids, pending_tool_calls, tool_choice, effective_config,
    payload, final_text)
VALUES ('acme', 'ann', '$run', '$conversation', 'default', '$run', '$run', 'x',
    'completed', 2, 0, 3, 0, 0, 1, 1, 1, 2, 0, 0, 2, 3, '[]', '[]',
    '{"kind":"auto"}', '$defaults',
    '{"kind":"user_message","text":"x"}', 'old');
SQL
}


sub unit_program {
    my ($program) = @_;
    my $t = AgentsTest->new(store => 'postgres');
    # as nginx's own connections are set up
    local $ENV{AGENTS_TEST_STORE} = $t->store
        . " options='-c enable_seqscan=off -c jit=off'";

    my $path = AgentsTest::build_dir() . "/units/$program";
    plan skip_all => "$program is not built" if !-x $path;

    my @lines = qx($path);
    is $?, 0, 'it passes' or diag grep { /^not ok|^#/ } @lines;
    like $lines[-1], qr/^1\.\.\d+$/, 'to its end';
    return;
}
