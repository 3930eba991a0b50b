# The demonstration of "make run": from nothing to an answer, then once more on
# the same data.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use File::Temp ();
use IO::Socket::INET;

my $data = File::Temp::tempdir('agents-t-XXXXXX', TMPDIR => 1, CLEANUP => 1);
my $script = "$FindBin::Bin/../conf-examples/quickstart/quickstart.pl";

delete @ENV{qw(OPENAI_API_KEY OPENAI_MODEL)};
for (qw(ASAN_OPTIONS UBSAN_OPTIONS)) {
    $ENV{$_} = join ':', $ENV{$_} || (), "log_path=$data/asan";
}

plan skip_all => 'no njs for this nginx' unless AgentsTest::njs();


# Two ports side by side.
sub two_ports {
    for (1 .. 50) {
        my $port = AgentsTest::free_port();
        return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port + 1, Proto => 'tcp', Listen => 1);
    }
    die "no two free ports\n";
}


sub quickstart {
    my ($port) = @_;
    my $out = qx($^X $script --build @{[AgentsTest::build_dir()]} \\
                 --data $data --port $port --once 2>&1 </dev/null);
    return ($? >> 8, $out);
}


# The same as it stays up: what it says, and what is at the last address of it.
sub stays {
    my ($port) = @_;
    my ($said, $page) = ('', '');
    my $pid = open my $out, '-|', $^X, $script, '--build',
        AgentsTest::build_dir(), '--data', $data, '--port', $port
        or die "quickstart: $!\n";
    while (defined(my $line = <$out>)) {
        $said .= $line;
        next unless $line =~ /console.*: (http\S+)$/;
        $page = HTTP::Tiny->new(timeout => 30)->get($1)->{content};
        kill 'INT', $pid;
    }
    close $out;
    return ($? >> 8, $said, $page);
}


for my $start (1, 2) {
    my ($status, $out) = quickstart(two_ports());

    is $status, 0, "start $start: the run completed" or diag $out;
    my @steps = $out =~ /^\s+[\d.]+ s  (\w+(?: \w+)?)/mg;
    my $steps = join ', ', @steps;
    like $steps, qr/^created,\ question,\ run\ pending,.*tool\ called,\ result,
                    .*\ completed,\ answer/x, "start $start: its steps";
    like $out, qr/tool called +demo-search_docs/, "start $start: the tool";
    like $out, qr/answer +.*SQLite/, "start $start: the answer";
    like $out, qr/title +Search the docs/, "start $start: the title";
}

{
    my ($status, $said, $page) = stays(two_ports());
    is $status, 0, 'it ends in good order by Ctrl-C' or diag $said;
    like $said, qr/\nexport API=http\S+ TOKEN=\S+\n/, 'it says what to go on with';
    like $page, qr{<title>Agents console</title>}, 'and where the console is';
}

my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0,
                                  Proto => 'tcp', Listen => 1);
my ($status, $out) = quickstart($taken->sockport);
is $status, 1, 'a port in use: refused';
like $out, qr/cannot be used .*already in use/, 'and said so';

like AgentsTest::slurp("$data/logs/mcp.log"),
     qr/ alias=demo host=\S+ tool="search_docs" 200 /,
     'a line for a call of the MCP server';

is join('', map { AgentsTest::slurp($_) } glob "$data/asan.*"), '',
   'no report of a sanitizer';

my @errors = grep { /\[(?:error|crit|alert|emerg)\]/ }
             split /\n/, AgentsTest::slurp("$data/logs/error.log");
is "@errors", '', 'nothing at [error]';

done_testing;
