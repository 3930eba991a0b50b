# agents_mcp_cache: tools that were discovered are remembered, for one user, as
# long as the directive and the server say; a call of one opens its server then.
# One worker, since each remembers for itself.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my $mcp = AgentsTest::Mcp::handler();
my $json = JSON::PP->new->canonical->utf8;

my $t = AgentsTest->new(workers => 1,
    location => 'agents_mcp_cache 60s;'
        . ' agents_mcp_first_party http://127.0.0.1:%MOCK%/own'
        . ' key=file:%PREFIX%/key.json;',
    handlers => {
        '/own'   => $mcp,
        '/brief' => sub { ttl($_[0], 300) },
        '/never' => sub { ttl($_[0], 0) },
        '/long'  => sub { ttl($_[0], 3_600_000) },
        '/moves' => \&moves,
    });
open my $key, '>', $t->prefix . '/key.json' or die "key: $!\n";
print $key '{"kty": "oct", "k": "', 'A' x 43, '"}';
close $key or die "key: $!\n";
$t->start;

subtest 'remembered' => sub { remembered('/mcp') };
subtest 'with sessions' => sub { remembered('/mcp/session') };
subtest 'of the revision without sessions' => sub {
    remembered('/mcp/modern', 'tools/call') };
subtest 'a first-party server' => sub { remembered('/own') };
subtest 'each user for himself' => \&users;
subtest 'as long as the server says' => \&as_long;
subtest 'tools that change' => \&change;
subtest 'errors are not' => \&errors;
$t->clean;
done_testing;


# The run, and which methods the server saw, in order.
sub play {
    my ($path, %o) = @_;
    $t->mock->forget;
    my %as = (as => $o{as} || {});
    my $c = $t->conversation(%as, mcp_servers => [ {
        alias => $o{alias} || 'm', url => $t->mock->url($path) } ]);
    my @calls = $o{quiet} ? () : { tools => [
        [ ($o{alias} || 'm') . '-add', { a => 2, b => 3 } ] ] };
    my $run = $t->finished($t->run($c, script(@calls, { text => 'done' }), %as),
                           30, %{$as{as}});
    return ($run, grep { defined && !/notifications/ }
                  map { $_->{json}{method} }
                  grep { $_->{path} !~ /completions/ && ref $_->{json} eq 'HASH' }
                  @{$t->mock->requests});
}


sub lists { return scalar grep { $_ eq 'tools/list' } @_ }


sub remembered {
    my ($path, @open) = @_;
    @open = ('initialize', 'tools/call') unless @open;
    my ($run, @methods) = play($path);
    is $run->{status}, 'completed', 'a run' or diag explain $run->{error};
    ok lists(@methods) >= 1, 'lists the tools';

    ($run, @methods) = play($path, quiet => 1);
    is $run->{final_text}, 'done', 'another one';
    is_deeply \@methods, [], 'asks the server nothing';
    my ($prompt) = grep { $_->{path} =~ /completions/ && $_->{json}{tools} }
                   @{$t->mock->requests};
    ok scalar(@{$prompt->{json}{tools}}), 'and offers its tools';

    ($run, @methods) = play($path);
    is $run->{status}, 'completed', 'a third' or diag explain $run->{error};
    is_deeply \@methods, \@open, 'opens it for its call';
    my @bare = grep { !defined $_->{headers}{authorization} }
               @{$t->mock->requests('/own')};
    is scalar @bare, 0, 'with a token, where it gets one';
    return;
}


sub users {
    my ($run, @methods) = play('/mcp', as => { user => 'eve' });
    ok lists(@methods), 'another user lists anew';
    (undef, @methods) = play('/mcp', as => { company => 'globex' });
    ok lists(@methods), 'another company, too';
    (undef, @methods) = play('/mcp', alias => 'other');
    ok lists(@methods), 'and another alias, which names tools';
    (undef, @methods) = play('/mcp');
    ok !lists(@methods), 'what was remembered stays';
    return;
}


sub ttl {
    my ($req, $ms) = @_;
    my $answer = $mcp->($req);
    my $method = ref $req->{json} eq 'HASH' ? $req->{json}{method} || '' : '';
    $answer->{json}{result}{ttlMs} = $ms
        if $method eq 'tools/list' && ref $answer->{json}{result} eq 'HASH';
    return $answer;
}


sub as_long {
    my ($run, @methods) = play('/never');
    ok lists(@methods), 'no time: listed';
    (undef, @methods) = play('/never');
    ok lists(@methods), 'and listed again';

    play('/long');
    (undef, @methods) = play('/long');
    ok !lists(@methods), 'an hour: remembered';

    play('/brief');
    ok $t->wait_for(10, sub { my (undef, @again) = play('/brief');
                              lists(@again) }),
       'a moment: listed anew after it';
    return;
}


# A call says that the tools have changed.
sub moves {
    my ($req) = @_;
    my $answer = $mcp->($req);
    my $method = ref $req->{json} eq 'HASH' ? $req->{json}{method} || '' : '';
    return $answer unless $method eq 'tools/call';
    return { headers => { 'Content-Type' => 'text/event-stream' }, body =>
        join '', map { 'data: ' . $json->encode($_) . "\n\n" }
        { jsonrpc => '2.0', method => 'notifications/tools/list_changed' },
        $answer->{json} };
}


sub change {
    play('/moves', quiet => 1);
    my ($run, @methods) = play('/moves');
    is $run->{status}, 'completed', 'a call' or diag explain $run->{error};
    ok !lists(@methods), 'of a tool that is remembered';
    (undef, @methods) = play('/moves', quiet => 1);
    ok lists(@methods), 'says that they changed: they are listed anew';
    return;
}


sub errors {
    for (1 .. 2) {
        my ($run, @methods) = play('/mcp/error-list');
        is $run->{error}{type}, 'AgentLoopMcpDiscoveryFailed', "failure $_";
        ok lists(@methods), 'by an answer of its own';
    }
    my ($run, @methods) = play('/mcp/status-call');
    ok lists(@methods), 'after a call that failed';
    (undef, @methods) = play('/mcp/status-call', quiet => 1);
    ok lists(@methods), 'tools are listed anew';
    return;
}
