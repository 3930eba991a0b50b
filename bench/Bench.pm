package Bench;

# A server with the module for measurements, a fresh store behind it, and the
# programs that load them.
#
#     my $b = Bench->new('sqlite', workers => 1);
#     $b->start;
#     my $set = $b->conversations('text', 1000);     # made with SQL
#     my $seen = $b->runs(set => $set, runs => 1000, in_flight => 16);
#
# Everything it starts ends with it, or with the program.

use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use FindBin;
use File::Temp ();
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);
use lib dirname(__FILE__) . '/../t/lib';
use AgentsTest ();
use AgentsTest::Postgres;

our $TOP = Cwd::abs_path(dirname(__FILE__) . '/..');

my $json = JSON::PP->new->utf8->canonical;
my $sets = 0;
my %children;
my $cluster;


# A model and an MCP server that come and go with the load program; to
# AgentsTest they are the scripted server.
package Bench::Peer {
    sub port { return $_[0]{port} }
    sub url { return "http://127.0.0.1:$_[0]{port}" . ($_[1] || '') }
    sub stop { return }
}


# Tests do without durability; measurements do not.
package Bench::Postgres {
    our @ISA = ('AgentsTest::Postgres');

    sub start {
        my ($self) = @_;
        my $dir = $self->{dir};
        my $options = "-c listen_addresses='' -c unix_socket_directories=$dir"
                      . ' -c max_connections=200 -c shared_buffers=256MB'
                      . ' -c max_wal_size=4GB -c log_min_messages=fatal';
        $self->run('pg_ctl', '-D', "$dir/data", '-l', "$dir/server.log", '-w',
                   '-t', 60, '-o', $options, 'start');
        $self->{running} = 1;
        return;
    }
}


# ---- the server ----

sub new {
    my ($class, $engine, %o) = @_;
    my $self = bless { engine => $engine, owner => $$ }, $class;
    my $spec = 'sqlite';

    if ($engine eq 'postgres') {
        $cluster ||= Bench::Postgres->new;
        $self->{postgres} = $cluster;
        $spec = $cluster->database;
    }

    my $peer = bless { port => AgentsTest::free_port() }, 'Bench::Peer';

    $self->{t} = AgentsTest->new(
        store => $spec, workers => $o{workers} || 2, mock => $peer,
        protocol => $o{protocol} || 'openai',
        main => 'load_module ' . AgentsTest::build_dir()
                . "/bench/ngx_http_bench_probe_module.so;\n"
                . 'worker_rlimit_nofile ' . files() . ";\n"
                . 'thread_pool agents threads=4 max_queue=65536;',
        http => "keepalive_requests 100000000;\n"
                . 'agents_thread_pool agents;',
        provider => 'max_connections 16384;',
        location => 'agents_max_runs_per_user 1000000;',
        server => limit_location($o{limit} || 1)
                  . ($o{probe} ? "location = /probe { bench_probe; }\n" : ''),
        replace => {
            'cluster shared;' => 'cluster shared max_inferences=65536;',
            'worker_connections 4096' => 'worker_connections 32768',
            'error_log logs/error.log info' => 'error_log logs/error.log warn',
            'access_log logs/access.log' => 'access_log off',
        });
    $self->{peer} = $peer;
    $self->{t}->ctl('migrate');
    $self->{token} = $self->{t}->token;
    return $self;
}


# As many descriptors as this user may have, up to what is enough.
sub files {
    my ($n) = `sh -c 'ulimit -Hn'` =~ /^(\d+)/;
    return defined $n && $n < 65536 ? $n : 65536;
}


# What nginx gives without any work: a text of as many bytes.  A parameter of
# the configuration holds 4000 of them at most.
sub limit_location {
    my ($bytes) = @_;
    die "a body of $bytes bytes is too long for the limit\n" if $bytes > 4000;
    my $text = 'x' x $bytes;
    return "location = /limit {\nreturn 200\n$text;\n}";
}


sub start { $_[0]{t}->start; return $_[0] }
sub test { return $_[0]{t} }
sub url { return $_[0]{t}->base . $_[1] }

sub stop {
    my ($self) = @_;
    my @errors = $self->{t}->errors;
    $self->{t}->stop('TERM');
    print STDERR map { "  $_\n" } @errors[0 .. ($#errors > 4 ? 4 : $#errors)];
    return;
}

# Does something while the server is down: it would take runs over whose
# worker it does not know.
sub without {
    my ($self, $what) = @_;
    $self->stop;
    my $value = $what->();
    $self->start;
    return $value;
}


# What the probe in the worker saw since it was asked last.
sub probe {
    my ($self) = @_;
    my $answer = $self->{t}->get('/probe', token => undef);
    die "probe: $answer->{status}\n" unless $answer->{status} == 200;
    return $answer->{json};
}


# Gives the limit a body of this size.
sub limit_size {
    my ($self, $bytes) = @_;
    $self->{t}->stop;
    $self->{t}{server} = limit_location($bytes);
    return $self->start;
}


# ---- the store, by the engine's own client ----

sub database {
    my ($self) = @_;
    return $self->{t}->store =~ /^sqlite:(.*)/ ? $1 : $self->{t}->store;
}


sub sql {
    my ($self, $sql) = @_;
    return $self->{postgres}->psql($self->database, $sql)
        if $self->{postgres};
    my ($out) = command([ 'sqlite3', '-bail', '-batch', $self->database ],
                        ".timeout 20000\n$sql;\n");
    my @rows = split /\n/, $out;
    return wantarray ? @rows : join "\n", @rows;
}


# An id that counts, in SQL: of set and the expression "i"; "kind" is a hex
# digit that keeps conversations, runs and operations apart.
sub sql_id {
    my ($self, $set, $kind) = @_;
    return $self->{postgres}
        ? sprintf "'%08x-0000-7000-%s000-' || lpad(to_hex(i), 12, '0')",
                  $set, $kind
        : sprintf "printf('%08x-0000-7000-%s000-%%012x', i)", $set, $kind;
}


sub sql_series {
    my ($self, $n) = @_;
    return $self->{postgres}
        ? "(SELECT generate_series(0, $n - 1)::bigint AS i) s"
        : "(WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c"
          . " WHERE i < $n - 1) SELECT i FROM c) s";
}


# Copies rows of a table: "change" says which columns get other values.
sub sql_copy {
    my ($self, $table, $where, $from, %change) = @_;
    my @columns = $self->{columns}{$table}
        ? @{$self->{columns}{$table}} : $self->columns($table);
    my $values = join ', ', map { defined $change{$_} ? $change{$_} : "t.$_" }
                            @columns;
    my $names = join ', ', @columns;
    return "INSERT INTO $table ($names) SELECT $values FROM $table t, $from"
           . " WHERE $where";
}


sub columns {
    my ($self, $table) = @_;
    my @columns = $self->sql($self->{postgres}
        ? 'SELECT column_name FROM information_schema.columns WHERE'
          . " table_name = '$table' ORDER BY ordinal_position"
        : "SELECT name FROM pragma_table_info('$table')");
    $self->{columns}{$table} = \@columns;
    return @columns;
}


# The conversation that others are copies of: of kind "text", or "tool", which
# has an MCP server.
sub model_conversation {
    my ($self, $kind) = @_;
    return $self->{models}{$kind} ||= $self->{t}->conversation(
        max_iterations => 50,
        $kind eq 'tool' ? (mcp_servers => [ {
            alias => 'bench', url => $self->{peer}->url('/mcp') } ]) : ());
}


# So many conversations without messages: their set.
sub conversations {
    my ($self, $kind, $n) = @_;
    my $set = ++$sets;
    my $model = $self->model_conversation($kind);
    $self->sql($self->sql_copy('agents_conversations', "t.id = '$model->{id}'",
        $self->sql_series($n), id => $self->sql_id($set, 8)));
    return $set;
}


# Copies of a completed run, with its conversation and messages: their set.
sub copies {
    my ($self, $run, $n) = @_;
    my $set = ++$sets;
    my $series = $self->sql_series($n);
    my %id = map { $_->[0] => $self->sql_id($set, $_->[1]) }
                 ([ conversation => 8 ], [ run => 9 ], [ op => 'a' ]);

    for ($self->sql_copy('agents_conversations',
                         "t.id = '$run->{conversation_id}'", $series,
                         id => $id{conversation}),
         $self->sql_copy('agents_messages', "t.run_id = '$run->{id}'",
                         $series, conversation_id => $id{conversation},
                         run_id => $id{run}),
         $self->sql_copy('agents_runs', "t.id = '$run->{id}'", $series,
                         id => $id{run}, conversation_id => $id{conversation},
                         client_op_id => $id{op}, client_op_key => $id{op}))
    {
        $self->sql($_);
    }
    return $set;
}


# Conversations for pgbench: numbers that its script counts.
sub numbered {
    my ($self, $kind, $base, $clients, $n) = @_;
    my $model = $self->model_conversation($kind);
    $self->sql($self->sql_copy('agents_conversations', "t.id = '$model->{id}'",
        "generate_series(0, $clients - 1) c, generate_series(1, $n) i",
        id => "($base + 1000000 * c + i)::text"));
    return;
}


# What a store in use has: ended runs, and statistics of its tables.
sub populate {
    my ($self, $n, %o) = @_;
    my $set = $self->copies($self->model_run('text', %o), $n);
    $self->tidy;
    return $set;
}


sub tidy {
    my ($self) = @_;
    $self->sql($self->{postgres} ? 'ANALYZE' : 'PRAGMA optimize');
    $self->sql('CHECKPOINT') if $self->{postgres};
    return;
}


# ---- programs ----

my $body = $json->encode({
    client_op_id => '%OP%', expected_version => 0,
    payload => { kind => 'user_message', text => 'How much is one and two?' },
});


sub runs_command {
    my ($self, %o) = @_;
    my %args = (port => $self->{t}{port}, peer => $self->{peer}->port,
                token => $self->{token}, body => $body, %o);
    return [ AgentsTest::build_dir() . '/bench/load', 'runs',
             map { (my $name = $_) =~ tr/_/-/; ("--$name", $args{$_}) }
             sort keys %args ];
}


# Loads the server with runs: what the program saw.
sub runs {
    my ($self, %o) = @_;
    return $self->runs_seen((command($self->runs_command(%o)))[0]);
}


sub runs_seen {
    my ($self, $text) = @_;
    my $seen = $json->decode($text);
    die "$seen->{failed} runs failed: $seen->{fault}\n" if $seen->{failed};
    return $seen;
}


# One run of a conversation of this kind, completed.
sub model_run {
    my ($self, $kind, %o) = @_;
    return $self->{runs}{$kind} if $self->{runs}{$kind};
    my $set = $self->conversations($kind, 1);
    $self->runs(set => $set, runs => 1, tools => $kind eq 'tool' ? 1 : 0,
                %o);
    my $conversation = sprintf '%08x-0000-7000-8000-%012x', $set, 0;
    my ($id) = $self->sql('SELECT id FROM agents_runs WHERE conversation_id ='
                          . " '$conversation'");
    my $answer = $self->{t}->get("/agents/runs/$id");
    return $self->{runs}{$kind} = { %{$answer->{json}},
                                    bytes => length $answer->{content} };
}


# wrk: {rate, p50, p99}, the latencies in milliseconds.
sub wrk {
    my ($self, $path, $seconds, $script, @args) = @_;
    my ($out) = command([ 'wrk', '-t1', '-c64', "-d${seconds}s", '--latency',
        $script ? ('-s', $script)
                : ('-H', "Authorization: Bearer $self->{token}"),
        $self->url($path), @args ? ('--', @args) : () ]);
    my %unit = (us => 0.001, ms => 1, s => 1000);
    my %seen = map { /(\d+)%\s+([\d.]+)(us|ms|s)\b/
                     ? ("p$1" => $2 * $unit{$3}) : () } split /\n/, $out;
    ($seen{rate}) = $out =~ m{Requests/sec:\s+([\d.]+)};
    die "wrk: $out\n" if !$seen{rate} || $out =~ /Non-2xx|Socket errors/;
    return \%seen;
}


# Runs a program to its end: (what it printed, seconds); dies if it fails.
sub command {
    my ($command, $input) = @_;
    my $in = '/dev/null';
    my $temp;

    if (defined $input) {
        $temp = File::Temp->new;
        print $temp $input;
        close $temp;
        $in = $temp->filename;
    }
    my $begun = time;
    my $child = spawn($command, $in);
    my $text = join '', readline $child->{out};
    return (finish($child, $text), time - $begun);
}


# {pid, out, err, command} of a program under way; finish() waits for it.
sub spawn {
    my ($command, $in) = @_;
    my $err = File::Temp->new;
    my $pid = open my $out, '-|';
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', $in || '/dev/null';
        open STDERR, '>', $err->filename;
        exec @$command or POSIX::_exit(127);
    }
    $children{$pid} = 1;
    return { pid => $pid, out => $out, err => $err, command => $command };
}


sub finish {
    my ($child, $text) = @_;
    $text = join '', readline $child->{out} unless defined $text;
    close $child->{out};
    delete $children{$child->{pid}};
    return $text if $? == 0;
    die "$child->{command}[0] failed:\n",
        substr(AgentsTest::slurp($child->{err}->filename) || $text, 0, 500),
        "\n";
}


END {
    local ($?, $!);
    kill 'TERM', keys %children if %children;
    undef $cluster;
}


1;
