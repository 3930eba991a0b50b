package AgentsTest::Chaos::Client;

# A user's program, in a process of its own: it has several conversations under
# way and sees each through, whatever breaks meanwhile, and all along it holds
# what it is shown against what it was shown before.
#
#     my $client = AgentsTest::Chaos::Client->start(name => 'L1', seed => 7,
#         user => 'u1', say => $pipe, width => 4, mcp => $url,
#         nodes => [ { base => 'http://127.0.0.1:1', token => '...' }, ... ]);
#     kill 'USR1', $client->{pid};        # begin nothing new, end what is begun
#
# A conversation is of one of the kinds of %KINDS below.  A POST of a run that
# got no answer, or a 5xx, is made again under the same client_op_id until it
# has one; of some the connection is closed before the answer comes.
#
# It writes a line of JSON for each run that was accepted, that has ended, each
# conversation that it deleted, and whatever was not as it has to be:
#
#     { accepted => id, conversation =>, label =>, kind => }
#     { ended => id, status =>, error =>, unknown => calls of unknown outcome,
#       failed => calls that failed otherwise }
#     { removed => conversation }         { wrong => text }
#     { asked => requests, unanswered => of these, again => POSTs, hung_up =>
#       POSTs, looks => how often it compared what it saw }

use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);
use AgentsTest::Model;

my $json = JSON::PP->new->utf8->canonical;

my $SCHEMA = { type => 'object', required => [ 'word' ],
               properties => { word => { type => 'string' } },
               additionalProperties => JSON::PP::false };

# How often each is chosen, and the runs that it has.
my %KINDS = (
    tools      => [ 6, \&tools ],       # one run, or several
    structured => [ 2, \&structured ],  # an answer that has to be mended
    caller     => [ 3, \&caller_tools ],    # pauses, and is resumed
    cancel     => [ 1, \&tools ],       # cancelled by the client
    remove     => [ 1, \&tools ],       # deleted under way
);

my @DRAW = map { ($_) x $KINDS{$_}[0] } sort keys %KINDS;


sub start {
    my ($class, %o) = @_;
    my $self = bless { width => 4, n => 0, flows => [], count => {}, %o },
                     $class;
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        $SIG{USR1} = sub { $self->{stopping} = 1 };
        $SIG{$_} = sub { POSIX::_exit(0) } for qw(TERM INT HUP);
        srand $self->{seed};
        eval { $self->work(getppid) };
        $self->wrong({ label => $self->{name} }, "the client: $@") if $@;
        $self->report(%{$self->{count}});
        POSIX::_exit(0);
    }
    delete $self->{say};        # the pipe ends with the clients
    $self->{pid} = $pid;
    return $self;
}


sub work {
    my ($self, $parent) = @_;

    while (!$self->{stopping} || @{$self->{flows}}) {
        return if getppid != $parent;
        push @{$self->{flows}}, $self->begin
            if !$self->{stopping} && @{$self->{flows}} < $self->{width};

        for my $flow (@{$self->{flows}}) {
            next if $flow->{at} > time;
            my $state = $flow->{state};
            $flow->{at} = time + 0.05;
            $self->$state($flow);
        }
        @{$self->{flows}} = grep { $_->{state} ne 'over' } @{$self->{flows}};
        sleep 0.02;
    }
    return;
}


# One line, in one write: others write to the same pipe.
sub report {
    my ($self, %line) = @_;
    $line{wrong} = substr $line{wrong}, 0, 2500 if defined $line{wrong};
    syswrite $self->{say}, $json->encode(\%line) . "\n";
    return;
}


sub wrong {
    my ($self, $flow, $text) = @_;
    $self->report(wrong => sprintf '%s (%s): %s', $flow->{label},
                  $flow->{run} ? $flow->{run}{id} : 'no run', $text);
    return;
}


# ---- what conversations do ----

sub some { return $_[rand @_] }

# What a test of this package decides in place of chance.
sub now_and_then { return rand() < $_[1] }
sub below { return int rand $_[1] }


sub begin {
    my ($self) = @_;
    my $kind = some(@DRAW);
    my $flow = { label => $self->{name} . 'n' . ++$self->{n} . 'x', n => 0,
                 kind => $kind, state => 'make', at => time, version => 0,
                 messages => [], runs => [], defaults => {
                     model => $AgentsTest::MODEL, max_iterations => 8,
                     data_plane_id => $AgentsTest::PLANE,
                     execution_cluster => 'shared',
                     mcp_servers => [ { alias => 'mcp',
                                        url => $self->{mcp} } ] } };
    $flow->{plans} = [ $KINDS{$kind}[1]->($flow) ];
    $flow->{due} = time + rand 2.5 if $kind =~ /cancel|remove/;
    return $flow;
}


# A turn of calls that all bear the conversation's label.
sub calls {
    my ($flow) = @_;
    return {
        delay => 0.05 + rand 0.4,
        rand() < 0.3 ? (pace => 0.01) : (),
        tools => [ map {
            my $id = "$flow->{label}-" . ++$flow->{n};
            some([ 'mcp-echo', { text => $id }, $id ],
                 [ 'mcp-slow', { seconds => rand 0.8, text => $id }, $id ],
                 [ 'mcp-add', { a => 1, b => 2, text => $id }, $id ]);
        } 1 .. 1 + rand 3 ],
    };
}


sub answer {
    my ($flow) = @_;
    my $text = "$flow->{label}-end" . ++$flow->{n};
    return ({ text => $text, delay => rand 0.4,
              rand() < 0.4 ? (pace => 0.02) : () }, $text);
}


sub message {
    return { kind => 'user_message', text => AgentsTest::Model::script(@_) };
}


sub tools {
    my ($flow) = @_;
    return map {
        my @turns = map { calls($flow) } 1 .. 1 + rand 2.5;
        my ($last, $text) = answer($flow);
        { payload => message(@turns, $last), text => $text };
    } 1 .. (rand() < 0.25 ? 2 : 1);
}


sub structured {
    my ($flow) = @_;
    $flow->{defaults}{output_format_schema} = $SCHEMA;
    my $word = "$flow->{label}-end";
    return { payload => message(calls($flow),
                 { text => some('no JSON', '{"word":7}'), delay => 0.1 },
                 { text => $json->encode({ word => $word }), delay => 0.2 }),
             structured => { word => $word } };
}


sub caller_tools {
    my ($flow) = @_;
    $flow->{defaults}{tools} = [ { name => 'ask',
                                   input_schema => { type => 'object' } } ];
    my $turn = rand() < 0.5 ? calls($flow) : { delay => rand 0.3, tools => [] };
    my @pending = map { "$flow->{label}-q$_" } 1 .. 1 + rand 2;
    push @{$turn->{tools}}, map { [ 'ask', { what => $_ }, $_ ] } @pending;
    my ($last, $text) = answer($flow);

    return ({ payload => message($turn, calls($flow), $last),
              pending => \@pending },
            { payload => { kind => 'tool_outputs', outputs => [ map {
                  { tool_use_id => $_, content => "$_-told" } } @pending ] },
              text => $text });
}


# ---- requests ----

sub ask {
    my ($self, $method, $path, $body, %headers) = @_;
    my $node = some(@{$self->{nodes}});
    my $answer = HTTP::Tiny->new(timeout => 1.5, max_redirect => 0,
                                 keep_alive => 0)->request(
        $method, $node->{base} . $path, {
            headers => { Authorization => "Bearer $node->{token}", %headers,
                         $body ? ('Content-Type' => 'application/json') : () },
            $body ? (content => $json->encode($body)) : () });
    $answer->{json} = eval { $json->decode($answer->{content}) };
    $self->{count}{asked}++;
    $self->{count}{unanswered}++ if unanswered($answer);
    return $answer;
}


sub unanswered { return $_[0]{status} >= 500 }


# Sends a request and hangs up.
sub hang_up {
    my ($self, $path, $body) = @_;
    my $node = some(@{$self->{nodes}});
    my ($host) = $node->{base} =~ m{//(.*)};
    my $socket = IO::Socket::INET->new(PeerAddr => $host, Timeout => 1)
        or return;
    my $text = $json->encode($body);
    print {$socket} join "\r\n", "POST $path HTTP/1.1", "Host: $host",
        "Authorization: Bearer $node->{token}",
        'Content-Type: application/json', 'Connection: close',
        'Content-Length: ' . length $text, '', $text;
    $socket->flush;
    $self->{count}{hung_up}++;
    sleep rand 0.02;
    close $socket;
    return;
}


sub unexpected {
    my ($self, $flow, $what, $answer) = @_;
    $self->wrong($flow, "$what: $answer->{status} $answer->{content}")
        unless unanswered($answer);
    return;
}


sub path { return "/agents/conversations/$_[0]{id}" }


# ---- the states of a conversation ----

sub make {
    my ($self, $flow) = @_;
    my $answer = $self->ask('POST', '/agents/conversations', {
        name => $flow->{label}, defaults => $flow->{defaults} });
    return $self->unexpected($flow, 'POST of a conversation', $answer)
        if $answer->{status} != 201;
    $flow->{id} = $answer->{json}{id};
    $flow->{state} = 'plan';
    return;
}


sub plan {
    my ($self, $flow) = @_;
    my $plan = $flow->{plan} = shift @{$flow->{plans}};
    $flow->{state} = $plan ? 'post' : 'last_look';
    return unless $plan;
    delete $flow->{run};
    $flow->{body} = { client_op_id => AgentsTest::uuid(),
                      expected_version => $flow->{version},
                      payload => $plan->{payload} };
    $flow->{tries} = 0;
    $self->hang_up(path($flow) . '/runs', $flow->{body}) if rand() < 0.15;
    return;
}


sub post {
    my ($self, $flow) = @_;
    my $answer = $self->ask('POST', path($flow) . '/runs', $flow->{body});
    $self->{count}{again}++ if $flow->{tries}++;
    return $self->unexpected($flow, 'POST of a run', $answer)
        if $answer->{status} != 202;

    my $run = $answer->{json};
    $self->wrong($flow, 'another client_op_id')
        if $run->{client_op_id} ne $flow->{body}{client_op_id};
    push @{$flow->{runs}}, $run->{id};
    $flow->{run} = { id => $run->{id}, bodies => {}, blocks => {},
                     rank => 0, iterations_used => 0, total_tokens => 0,
                     jobs => '' };
    $self->report(accepted => $run->{id}, conversation => $flow->{id},
                  label => $flow->{label}, kind => $flow->{kind});
    $flow->{state} = 'follow';

    # who is not sure asks again, and gets the same
    $self->replay($flow) if rand() < 0.1;
    return;
}


sub replay {
    my ($self, $flow) = @_;
    my $answer = $self->ask('POST', path($flow) . '/runs', $flow->{body});
    return $self->unexpected($flow, 'a replay', $answer)
        if $answer->{status} != 202;
    $self->wrong($flow, "a replay gave the run $answer->{json}{id}")
        if $answer->{json}{id} ne $flow->{run}{id};
    return;
}


sub follow {
    my ($self, $flow) = @_;
    if ($flow->{due} && $flow->{due} <= time) {
        my $do = $flow->{kind};
        return $self->$do($flow);
    }
    my $look = some('look_run', 'look_run', 'look_run', 'look_messages',
                    'look_conversation');
    $self->$look($flow);
    $flow->{at} = time + 0.2 + rand 0.5;
    return;
}


sub cancel {
    my ($self, $flow) = @_;
    my $answer = $self->ask('POST', "/agents/runs/$flow->{run}{id}/cancel");
    return $self->unexpected($flow, 'cancel', $answer)
        if $answer->{status} != 200 && $answer->{status} != 202;
    delete $flow->{due};
    $flow->{cancelled} = 1;
    return;
}


# A deletion whose answer was lost may have been done.
sub remove {
    my ($self, $flow) = @_;
    my $answer = $self->ask('DELETE', path($flow));
    my $tries = $flow->{removing}++;
    return $self->unexpected($flow, 'DELETE', $answer)
        if $answer->{status} != 204
           && !($answer->{status} == 404 && $tries);
    $self->report(removed => $flow->{id});
    $flow->{state} = 'removed';
    return;
}


sub removed {
    my ($self, $flow) = @_;
    my $answer = $self->ask('GET', some(path($flow), path($flow) . '/messages',
                                        "/agents/runs/$flow->{run}{id}"));
    return if unanswered($answer);
    $self->wrong($flow, "deleted, and still there: $answer->{status}")
        if $answer->{status} != 404;
    $flow->{state} = 'over';
    return;
}


# ---- what a reader may see ----

my %RANK = (pending => 0, running => 1, completed => 2, requires_action => 2,
            failed => 2);

sub look_run {
    my ($self, $flow) = @_;
    my $run = $flow->{run};
    my $began = time;
    my $wait = $self->now_and_then(0.15);
    my $etag = $self->now_and_then(0.5) ? $run->{etag} : undef;
    my $answer = $self->ask('GET', "/agents/runs/$run->{id}"
        . ($wait ? '?wait=1' : ''), undef,
        $etag ? ('If-None-Match' => $etag) : ());
    return if unanswered($answer);
    $self->{count}{looks}++;

    if ($answer->{status} == 304) {
        return $self->wrong($flow, '304 without an ETag') unless $etag;
        # a worker that is to leave answers those who wait
        $self->wrong($flow, sprintf '304 after %.2f s of a second',
                     time - $began)
            if $wait && time - $began < 0.9 && !$self->{reloads};
        return;
    }
    return $self->unexpected($flow, 'GET of a run', $answer)
        if $answer->{status} != 200;

    my $now = $answer->{headers}{etag};
    $self->wrong($flow, "200 with the ETag that was given") if $etag
                                                     && $etag eq $now;
    $self->one_body($flow, $run, $now, $answer->{content});
    $run->{etag} = $now;
    $self->see_run($flow, $answer->{json});
    return;
}


# An ETag stands for one body.
sub one_body {
    my ($self, $flow, $of, $etag, $content) = @_;
    my $body = md5_hex($content);
    $self->wrong($flow, "two bodies of one ETag: $content")
        if ($of->{bodies}{$etag} ||= $body) ne $body;
    return;
}


sub see_run {
    my ($self, $flow, $now) = @_;
    my $run = $flow->{run};
    my $rank = $RANK{$now->{status}};
    my $jobs = join ' ', @{$now->{submitted_inference_job_ids}};

    $self->wrong($flow, "$now->{status} after rank $run->{rank}")
        if $rank < $run->{rank};
    $self->wrong($flow, "iterations $now->{iterations_used} after"
                        . " $run->{iterations_used}")
        if $now->{iterations_used} < $run->{iterations_used};
    $self->wrong($flow, 'fewer tokens than before')
        if $now->{usage}{total_tokens} < $run->{total_tokens};
    # the one of an inference that never began is taken back
    my $stays = $now->{status} eq 'failed' ? $run->{jobs} =~ s/ ?\S*$//r
                                           : $run->{jobs};
    $self->wrong($flow, "job ids $jobs after $run->{jobs}")
        if index($jobs, $stays) != 0;
    @$run{qw(rank iterations_used total_tokens jobs)} =
        ($rank, $now->{iterations_used}, $now->{usage}{total_tokens}, $jobs);

    my %live = blocks(@{$now->{live}{messages}});
    if ($rank < 2) {
        my @gone = grep { !$live{$_} } sort keys %{$run->{blocks}};
        $self->wrong($flow, "no longer live: @gone") if @gone;
        $run->{blocks}{$_} = 1 for keys %live;
        return;
    }
    $self->wrong($flow, 'terminal, and live') if %live;
    $run->{end} = $now;
    $flow->{state} = 'ended';
    return;
}


sub blocks {
    return map { my $role = $_->{role};
                 map { ("$role " . $json->encode($_) => 1) }
                     @{$_->{content_blocks}} } @_;
}


sub look_conversation {
    my ($self, $flow) = @_;
    my $answer = $self->ask('GET', path($flow));
    return if unanswered($answer);
    $self->{count}{looks}++;
    return $self->unexpected($flow, 'GET of a conversation', $answer)
        if $answer->{status} != 200;
    $self->one_body($flow, $flow, $answer->{headers}{etag},
                    $answer->{content});
    $self->see_version($flow, $answer->{json}{version});
    return;
}


sub see_version {
    my ($self, $flow, $version) = @_;
    $self->wrong($flow, "version $version after $flow->{version}")
        if $version < $flow->{version};
    $flow->{version} = $version;
    return;
}


# What was seen stays, and what is new follows it: 1 if there was an answer.
sub look_messages {
    my ($self, $flow) = @_;
    my $known = $flow->{messages};
    my $since = $self->below(@$known + 1);
    my $answer = $self->ask('GET', path($flow) . "/messages?since=$since");
    return if unanswered($answer);
    $self->{count}{looks}++;
    if ($answer->{status} != 200) {
        $self->unexpected($flow, 'GET of messages', $answer);
        return;
    }
    my ($version, $messages) = @{$answer->{json}}{qw(current_version messages)};
    $self->see_version($flow, $version);

    for my $i (0 .. $#$messages) {
        my $message = $messages->[$i];
        my $at = $since + $i;
        $self->wrong($flow, "message $message->{sequence_no} at "
                            . ($at + 1)) if $message->{sequence_no} != $at + 1;
        my $text = $json->encode($message);
        $self->wrong($flow, "message $at has changed: $text")
            if $known->[$at] && $known->[$at]{text} ne $text;
        $known->[$at] = { %$message, text => $text };
    }
    $self->wrong($flow, "version $version and messages up to "
                        . ($since + @$messages))
        if $version != $since + @$messages;
    return 1;
}


# ---- a run that has ended ----

sub ended {
    my ($self, $flow) = @_;
    $self->look_messages($flow) or return;
    my $run = $flow->{run};
    my @own = grep { $_->{run_id} eq $run->{id} } @{$flow->{messages}};
    my %there = blocks(@own);
    my @gone = grep { !$there{$_} } sort keys %{$run->{blocks}};
    $self->wrong($flow, "was live, and is no message: @gone") if @gone;

    my $status = $run->{end}{status};
    my $error = $run->{end}{error} ? $run->{end}{error}{type} : '';
    $self->report(ended => $run->{id}, status => $status, error => $error,
                  $self->results($flow, @own),
                  $error ? (message => substr $run->{end}{error}{message},
                                              0, 300) : ());

    # after a failure or a cancellation the rest does not follow
    if ($status eq 'failed') {
        $self->wrong($flow, 'cancelled by no one')
            if $error eq 'AgentLoopCancelled' && $flow->{kind} ne 'cancel';
        $flow->{plans} = [];
    } else {
        $self->as_planned($flow);
    }
    $flow->{state} = 'plan';
    return;
}


sub as_planned {
    my ($self, $flow) = @_;
    my ($plan, $end) = ($flow->{plan}, $flow->{run}{end});
    my @pending = map { $_->{tool_use_id} } @{$end->{pending_tool_calls}};
    my $is = $json->encode({ text => $end->{final_text}, pending => \@pending,
                             structured => $end->{final_structured_output} });
    my $should = $json->encode({ text => $plan->{text},
                                 structured => $plan->{structured},
                                 pending => $plan->{pending} || [] });
    $self->wrong($flow, "$is instead of $should") if $is ne $should;
    return;
}


# Each call has one result, which is its own; how many are of unknown outcome,
# or say that the call failed.
sub results {
    my ($self, $flow, @own) = @_;
    my ($unknown, $failed) = (0, 0);
    my %of;

    for my $block (map { @{$_->{content_blocks}} } @own) {
        $of{$block->{tool_use_id}}{$block->{type}} = $block
            if $block->{type} =~ /^tool_/;
    }
    for my $id (sort keys %of) {
        my ($use, $result) = @{$of{$id}}{qw(tool_use tool_result)};
        next if !$result && $use && $use->{name} eq 'ask';
        if (!$result) {
            $self->wrong($flow, "the call $id has no result");
            next;
        }
        my $text = join '', map { $_->{text} } @{$result->{content}};
        if ($result->{is_error}) {
            $text =~ /outcome of this call is unknown/ ? $unknown++ : $failed++;
        } elsif ($use) {
            my $args = $use->{arguments};
            my $should = $use->{name} eq 'mcp-echo' ? $args->{text}
                       : $use->{name} eq 'mcp-add' ? 3 : 'slept';
            $self->wrong($flow, "the call $id gave $text")
                if index($text, $should) == -1;
        }
    }
    return (unknown => $unknown, failed => $failed);
}


# Whoever asked again made no second run.
sub last_look {
    my ($self, $flow) = @_;
    my $answer = $self->ask('GET', path($flow) . '/runs?per_page=100');
    return if unanswered($answer);
    my $is = join ' ', sort map { $_->{id} } @{$answer->{json}{records}};
    my $should = join ' ', sort @{$flow->{runs}};
    $self->wrong($flow, "its runs are $is, and not $should")
        if $is ne $should;
    $flow->{state} = 'over';
    return;
}


1;
