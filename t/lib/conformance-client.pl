# What the MCP conformance suite starts as the client under test: it has a run
# of a server, which t/051-mcp-conformance.t has started, use the MCP server at
# the url that is its last argument, and waits for the run's end.
#
# AGENTS_CONFORMANCE_BASE and _TOKEN say where the server is; the model that it
# asks calls the tools that MCP_CONFORMANCE_CONTEXT names, or all.

use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP;

my $json = JSON::PP->new->canonical->utf8->allow_nonref;
my $http = HTTP::Tiny->new(timeout => 60, default_headers => {
    'Authorization' => "Bearer $ENV{AGENTS_CONFORMANCE_TOKEN}",
    'Content-Type' => 'application/json' });

my $url = $ARGV[-1];
$url =~ s{//localhost:}{//127.0.0.1:};    # a resolver reads no /etc/hosts

my $context = $json->decode($ENV{MCP_CONFORMANCE_CONTEXT} || '{}');
my $calls = $json->encode({ calls => $context->{toolCalls} });
my $run_op = join '-', map { join '', map { sprintf '%x', int rand 16 }
                             1 .. $_ } 8, 4, 4, 4, 12;

my $c = api('/agents/conversations', {
    name => 'conformance',
    defaults => {
        model => $ENV{AGENTS_CONFORMANCE_MODEL},
        data_plane_id => $ENV{AGENTS_CONFORMANCE_PLANE},
        execution_cluster => 'shared',
        mcp_servers => [ { alias => 'm', url => $url } ],
    },
});
my $run = api("/agents/conversations/$c->{id}/runs", {
    client_op_id => $run_op, expected_version => 0,
    payload => { kind => 'user_message', text => $calls },
});
my $end = time + 50;
while (!$run->{finished_at} && time < $end) {
    $run = api("/agents/runs/$run->{id}?wait=10");    # or what has changed
}
print $json->encode({ map { $_ => $run->{$_} } qw(status error) }), "\n";
exit($run->{status} eq 'completed' ? 0 : 1);


sub api {
    my ($path, $body) = @_;
    my $answer = $http->request($body ? 'POST' : 'GET',
        $ENV{AGENTS_CONFORMANCE_BASE} . $path,
        $body ? { content => $json->encode($body) } : {});
    die "$path: $answer->{status} $answer->{content}\n"
        unless $answer->{success};
    return $json->decode($answer->{content});
}
