# Bearer tokens as agentsctl makes them: who they stand for, what they permit,
# when they end; and the log's variables.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use HTTP::Tiny;
use Time::HiRes qw(time);
use AgentsTest;

for my $store (AgentsTest->stores) {
    my $t = AgentsTest->new(store => $store,
        http => q{log_format ids '$request_id|$status|$agents_company|}
                . q{$agents_user|$agents_conversation_id|$agents_run_id|}
                . q{$agents_run_status|$agents_error';},
        location => 'add_header X-Request-Id $request_id always;'
                    . ' access_log logs/ids.log ids;');
    $t->{http_client} = HTTP::Tiny->new(keep_alive => 0);
    $t->start;

    # a revoked token that is known takes its time: asked again at the end
    my $revoked = $store eq (AgentsTest->stores)[0] && revoked($t);

    subtest "permissions on $store" => sub { permissions($t) };
    subtest "the end of a token on $store" => sub { ends($t) };
    subtest "a token's forms on $store" => sub { forms($t) };
    subtest "ids and variables of the log on $store" => sub { logged($t) };

    subtest 'the end of a revoked token' => sub { forgotten($t, @$revoked) }
        if $revoked;

    $t->clean("$store: nginx stopped, no error logged");
}

done_testing;


sub permissions {
    my ($t) = @_;
    my $conversation = $t->conversation;
    my @reads = ('/agents/conversations',
                 "/agents/conversations/$conversation->{id}",
                 "/agents/conversations/$conversation->{id}/messages",
                 '/agents/models',
                 "/agents/conversations/$conversation->{id}/runs?page=1",
                 '/agents/runs/x');
    my @writes = ([ '/agents/conversations', $t->conversation_body ],
                  [ "/agents/conversations/$conversation->{id}/runs",
                    $t->run_body($conversation, 'hello') ]);

    for my $path (@reads) {
        my $wanted = $path =~ /x$/ ? 404 : 200;
        is $t->get($path, permissions => [ 'read' ])->{status}, $wanted,
           "GET $path takes read";
        forbidden($t->get($path, permissions => [ 'write' ]), 'read',
                  "GET $path");
        forbidden($t->request('HEAD', $path, undef,
                              permissions => [ 'write' ]), '', "HEAD $path");
    }
    for (@writes) {
        my ($path, $body) = @$_;
        forbidden($t->post($path, $body, permissions => [ 'read' ]), 'write',
                  "POST $path");
        my $answer = $t->post($path, $body, permissions => [ 'write' ]);
        like $answer->{status}, qr/^20[12]$/, "POST $path takes write";
        $t->finished($answer->{json}) if $path =~ /runs/;
    }
    my $spare = $t->conversation;
    for ([ 'PATCH', "/agents/conversations/$spare->{id}", {}, 200 ],
         [ 'POST', '/agents/runs/x/cancel', undef, 404 ],
         [ 'DELETE', "/agents/conversations/$spare->{id}", undef, 204 ]) {
        my ($method, $path, $body, $wanted) = @$_;
        forbidden($t->request($method, $path, $body,
                              permissions => [ 'read' ]), 'write',
                  "$method $path");
        is $t->request($method, $path, $body, permissions => [ 'write' ])
             ->{status}, $wanted, "$method $path takes write";
    }
    return;
}


sub forbidden {
    my ($answer, $permission, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $answer->{status}, 403, "$name without it: 403";
    is $answer->{headers}{'www-authenticate'},
       'Bearer error="insufficient_scope"', 'insufficient_scope';
    is $answer->{headers}{'content-type'}, 'application/problem+json',
       'a problem';
    like $answer->{json}{detail}, qr/agent_conversations:$permission\b/,
         'that names the permission' if $permission;
    return;
}


sub ends {
    my ($t) = @_;
    my $token = $t->ctl(qw(token create --company acme --user ann
                           --permission read --expires 2s));
    my $get = sub { $t->get('/agents/conversations', token => $token) };

    is $get->()->{status}, 200, 'a token that expires is good until then';
    my $answer = $t->wait_for(8, sub {
        my $now = $get->();
        return $now->{status} == 200 ? undef : $now;
    });
    is $answer->{status}, 401, 'then it is not';
    is $answer->{headers}{'www-authenticate'}, 'Bearer error="invalid_token"',
       'invalid_token';
    is $answer->{json}{type}, $t->base . '/errors/invalid-token', 'its type';

    $token = $t->ctl(qw(token create --company acme --user eve
                        --permission read));
    my ($id) = map { $_->{id} } grep { $_->{user_id} eq 'eve' }
               map { ref $_ eq 'ARRAY' ? @$_ : $_ }
               JSON::PP::decode_json($t->ctl(qw(token list --json)));
    $t->ctl('token', 'revoke', $id);
    is $get->()->{status}, 401, 'a revoked token is unknown';
    return;
}


# A token that every worker has seen, and when it was revoked.
sub revoked {
    my ($t) = @_;
    my $token = $t->ctl(qw(token create --company acme --user rex
                           --permission read));
    for (1 .. 20) {
        my $status = $t->get('/agents/conversations', token => $token)
                       ->{status};
        die "a new token: $status\n" unless $status == 200;
    }
    my ($found) = grep { $_->{user_id} eq 'rex' }
                  @{JSON::PP::decode_json($t->ctl(qw(token list --json)))};
    $t->ctl('token', 'revoke', $found->{id});
    return [ $token, time ];
}


sub forgotten {
    my ($t, $token, $revoked) = @_;
    my ($late, $answer) = (0);

    $t->wait_for(20, sub {
        my $begun = time;
        $answer = $t->get('/agents/conversations', token => $token);
        $late++ if $answer->{status} == 200 && $begun > $revoked + 10.2;
        return $begun > $revoked + 10.2;
    });
    is $late, 0, 'no worker takes it 10 s later';
    is $answer->{status}, 401, 'it is refused';
    is $answer->{headers}{'www-authenticate'}, 'Bearer error="invalid_token"',
       'invalid_token';
    return;
}


sub forms {
    my ($t) = @_;
    my $token = $t->token;
    my %cases = ("Bearer $token" => 200, "bearer $token" => 200,
                 "BEARER   $token" => 200, "Bearer $token " => 200,
                 "Bearer \U$token" => 401, "Bearer ${token}x" => 401,
                 "Bearer $token x" => 401,
                 'Bearer ' . substr($token, 1) => 401,
                 $token => 401, "Basic $token" => 401, "Token $token" => 401);

    for (sort keys %cases) {
        (my $shown = $_) =~ s/\Q$token\E/TOKEN/;
        is $t->get('/agents/conversations',
                   headers => { Authorization => $_ })->{status},
           $cases{$_}, "Authorization: $shown";
    }
    unlike $t->log . $t->access_log, qr/\Q$token\E/, 'no log has it';
    return;
}


# X-Request-Id, log_id and the logs' id are one.
sub logged {
    my ($t) = @_;
    my $conversation = $t->conversation;
    my $id = $conversation->{id};
    my $run = $t->finished($t->run($conversation, 'hello'));

    my @cases = (
        # path, status, the variables; what there is not is -
        [ "/agents/conversations/$id", 200, 'acme', 'ann', $id, '', '', '' ],
        [ "/agents/conversations/$id/messages", 200,
          'acme', 'ann', $id, '', '', '' ],
        [ "/agents/runs/$run->{id}", 200,
          'acme', 'ann', $id, $run->{id}, 'completed', '' ],
        [ '/agents/nothing', 404, '', '', '', '', '', 'not-found' ],
        [ '/agents/conversations/x', 404, 'acme', 'ann', '', '', '',
          'not-found' ],
        [ '/agents/conversations?page=0', 400,
          'acme', 'ann', '', '', '', 'invalid-request' ],
    );
    for (@cases) {
        my ($path, $status, @values) = @$_;
        my $line = join '|', map { length ? $_ : '-' } @values;
        my $answer = $t->get($path);
        my $request = $answer->{headers}{'x-request-id'};

        is $answer->{status}, $status, "$path: $status";
        is $answer->{json}{log_id}, $request, 'log_id' if $status >= 400;
        my $found = $t->wait_for(5, sub {
            AgentsTest::slurp($t->prefix . '/logs/ids.log')
                =~ /^\Q$request|$status|$line\E$/m;
        });
        ok $found, 'in the access log'
            or diag(AgentsTest::slurp($t->prefix . '/logs/ids.log'));
        like $t->log, qr/log_id: $request/, 'and in the error log'
            if $status >= 400;
    }
    return;
}
