# MCP servers that others have written, each over loopback: the protocol's own
# library with nothing but the revision without sessions, its servers for stdio
# behind two gateways with and without sessions, one that answers plain JSON, one
# of both eras, one that wants a token, and one of the hardest schemas.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;
use AgentsTest::Npm;
use File::Temp ();

my %versions = (
    '@modelcontextprotocol/server' => '2.4.0',
    '@modelcontextprotocol/server-filesystem' => '2026.8.31',
    '@modelcontextprotocol/server-memory' => '2026.8.31',
    'supergateway' => '4.0.0',
    '@antv/mcp-server-chart' => '0.9.10',
    '@upstash/context7-mcp' => '4.1.1',
    '@modelcontextprotocol/server-sequential-thinking' => '2026.8.31',
    'mcp-proxy' => '6.7.19',
    '@notionhq/notion-mcp-server' => '2.5.2',
    'mongodb-mcp-server' => '3.0.4',
);
my $modules = AgentsTest::Npm::packages(%versions);
plan skip_all => AgentsTest::Npm::why() unless defined $modules;

my $folder = File::Temp::tempdir(CLEANUP => 1);
write_file("$folder/note.txt", "h\xc3\xa9llo\n");
my $node = AgentsTest::Npm::node_binary();

my %servers = (
    modern => started({}, sub { ("$FindBin::Bin/lib/modern-server.mjs",
                                 $modules, $_[0]) }),
    memory => started({ MEMORY_FILE_PATH => "$folder/memory.json" }, sub {
        gateway($_[0], "$modules/\@modelcontextprotocol/server-memory"
                       . '/dist/index.js', '--stateful') }),
    files => started({}, sub {
        gateway($_[0], "$modules/\@modelcontextprotocol/server-filesystem"
                       . "/dist/index.js $folder") }),
    chart => started({}, sub {
        ("$modules/\@antv/mcp-server-chart/build/index.js", '--transport',
         'streamable', '--host', '127.0.0.1', '--port', $_[0]) }),
    context => started({}, sub {
        ("$modules/\@upstash/context7-mcp/dist/index.js", '--transport',
         'http', '--port', $_[0]) }),
    think => started({}, sub { thinking($_[0]) }),
    thinks => started({}, sub { thinking($_[0], '--stateless') }),
    notion => started({ NOTION_TOKEN => 'ntn_none' }, sub {
        ("$modules/\@notionhq/notion-mcp-server/bin/cli.mjs", '--transport',
         'http', '--port', $_[0], '--auth-token', 'of-the-operator') }),
    mongo => started({ DO_NOT_TRACK => 1 }, sub {
        ("$modules/mongodb-mcp-server/dist/esm/index.js", '--transport',
         'http', '--httpPort', $_[0], '--telemetry', 'disabled') }),
);
$_->{node}->listens for values %servers;

my $t = AgentsTest->new(location => 'agents_mcp_credential notion'
    . " host=127.0.0.1:$servers{notion}{port} header=Authorization"
    . ' "value=Bearer of-the-operator";')->start;

subtest 'modern' => \&modern;
subtest 'memory, with sessions' => \&memory;
subtest 'files, without' => \&files;
subtest 'charts' => \&charts;
subtest 'one of both eras' => \&context;
subtest 'thoughts, with sessions' => \&thoughts, 'think';
subtest 'thoughts, without' => \&thoughts, 'thinks';
subtest 'one that wants a token' => \&notion;
subtest 'a database' => \&mongo;
subtest 'all of them in one run' => \&all;
$t->clean;

done_testing;


sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


sub started {
    my ($env, $program) = @_;
    my $port = AgentsTest::free_port();
    return { port => $port, node => AgentsTest::Npm->begin($port, $env,
                                                          $program->($port)) };
}


sub gateway {
    my ($port, $command, @options) = @_;
    return ("$modules/supergateway/dist/index.js", '--stdio',
            "$node $command", '--outputTransport', 'streamableHttp',
            '--port', $port, '--logLevel', 'none', @options);
}


sub thinking {
    my ($port, @options) = @_;
    return ("$modules/mcp-proxy/dist/bin/mcp-proxy.mjs", '--host', '127.0.0.1',
            '--port', $port, '--server', 'stream', @options, '--', $node,
            "$modules/\@modelcontextprotocol/server-sequential-thinking"
            . '/dist/index.js');
}


sub server {
    my ($name) = @_;
    return { alias => $name,
             url => "http://127.0.0.1:$servers{$name}{port}/mcp" };
}


# The run, the texts of its results, and the names of what was offered.
sub play {
    my ($names, @calls) = @_;
    my $c = $t->conversation(mcp_servers => [ map { server($_) } @$names ]);
    $t->mock->forget;
    # none of them minds that
    my %trace = (traceparent => '00-4bf92f3577b34da6a3ce929d0e0e4736-'
                                . '00f067aa0ba902b7-01', tracestate => 'a=1');
    my $run = $t->finished($t->run($c, script({ tools => \@calls },
        { text => 'done' }), as => { headers => \%trace }), 60);
    is $run->{status}, 'completed', 'completed' or diag explain $run->{error};
    my ($prompt) = grep { $_->{path} =~ /completions/ }
                   @{$t->mock->requests};
    return ([ map { $_->{is_error} ? "error: $_->{content}[0]{text}"
                                   : $_->{content}[0]{text} }
              grep { $_->{type} eq 'tool_result' }
              map { @{$_->{content_blocks}} } @{$t->messages($c)} ],
            map { $_->{function}{name} } @{$prompt->{json}{tools}});
}


sub modern {
    my ($texts, @names) = play([ 'modern' ],
        [ 'modern-sum', { a => 2, b => 3 } ],
        [ 'modern-place', { where => "caf\x{e9} " } ],
        [ 'modern-sum', { a => 'two' } ]);
    is_deeply [ sort @names ], [ qw(modern-place modern-sum) ], 'its tools';
    is $texts->[0], '5', 'a sum';
    is $texts->[1], "caf\x{e9} ", 'the header says what the body says';
    like $texts->[2], qr/^error: /, 'what it refuses';
    return;
}


sub memory {
    my $entity = { name => 'nginx', entityType => 'server',
                   observations => [ 'it serves' ] };
    my ($texts, @names) = play([ 'memory' ],
        [ 'memory-create_entities', { entities => [ $entity ] } ]);
    cmp_ok scalar @names, '>', 5, 'its tools';
    like $texts->[0], qr/nginx/, 'made';
    ($texts) = play([ 'memory' ], [ 'memory-read_graph', {} ]);
    like $texts->[0], qr/it serves/, 'read in another session';
    return;
}


sub files {
    my ($texts, @names) = play([ 'files' ],
        [ 'files-read_text_file', { path => "$folder/note.txt" } ],
        [ 'files-read_text_file', { path => '/etc/passwd' } ]);
    cmp_ok scalar @names, '>', 8, 'its tools';
    is $texts->[0], "h\x{e9}llo\n", 'a file';
    like $texts->[1], qr/^error: /, 'not any file';
    return;
}


# Nothing is drawn: that asks another server.
sub charts {
    my ($texts, @names) = play([ 'chart' ], [ 'chart-no_such', {} ]);
    cmp_ok scalar @names, '>', 15, 'its tools';
    like $texts->[0], qr/^error: /, 'an unknown one';
    return;
}


# What it knows is elsewhere, and not asked for.
sub context {
    my ($texts, @names) = play([ 'context' ], [ 'context-no_such', {} ]);
    cmp_ok scalar @names, '>', 1, 'its tools';
    like $texts->[0], qr/^error: /, 'an unknown one';
    return;
}


sub thoughts {
    my ($name) = @_;
    my ($texts, @names) = play([ $name ], map { [ "$name-sequentialthinking",
        { thought => 'caf\x{e9}', thoughtNumber => $_, totalThoughts => 2,
          nextThoughtNeeded => $_ < 2 ? JSON::PP::true : JSON::PP::false } ] }
        1, 2);
    is_deeply \@names, [ "$name-sequentialthinking" ], 'its tool';
    like $texts->[0], qr/"totalThoughts": 2/, 'a thought';
    like $texts->[1], qr/"nextThoughtNeeded": false/, 'and the last';
    return;
}


# What it does is done elsewhere, and not asked for.
sub notion {
    my ($texts, @names) = play([ 'notion' ], [ 'notion-no_such', {} ]);
    cmp_ok scalar @names, '>', 15, 'its tools';
    like $texts->[0], qr/^error: /, 'an unknown one';
    return;
}


# There is none to connect to.
sub mongo {
    my ($texts, @names) = play([ 'mongo' ], [ 'mongo-find',
        { database => 'a', collection => 'b' } ]);
    cmp_ok scalar @names, '>', 15, 'its tools';
    like $texts->[0], qr/connect/i, 'what it says without a database';
    return;
}


sub all {
    my ($texts, @names) = play([ sort keys %servers ],
        [ 'modern-sum', { a => 1, b => 1 } ],
        [ 'files-list_allowed_directories', {} ], [ 'memory-read_graph', {} ]);
    my %prefixes = map { /^(\w+?)-/ ? ($1 => 1) : () } @names;
    is_deeply [ sort keys %prefixes ], [ sort keys %servers ], 'all tools';
    is $texts->[0], '2', 'a sum';
    like $texts->[1], qr/\Q$folder\E/, 'folders';
    like $texts->[2], qr/nginx/, 'a graph';
    return;
}
