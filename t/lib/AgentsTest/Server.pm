package AgentsTest::Server;

# A scripted HTTP server in a child process: one select() loop, any number of
# connections, keep-alive, timers; for models and MCP servers that behave, and
# for those that do not.
#
#     my $server = AgentsTest::Server->start(
#         '/v1/chat/completions' => AgentsTest::Model::handler(),
#         '/mcp'                 => AgentsTest::Mcp::handler(),
#         '/odd'                 => sub { my ($req) = @_; return { ... } },
#     );
#     $server->url('/mcp');           # http://127.0.0.1:PORT/mcp
#     my $seen = $server->requests;   # all that came, in order
#     $server->forget;                # empties that list
#     $server->stop;                  # or at the end of the object's life
#
# A handler is chosen by the longest path that the request's path is, or is
# below of ("/mcp" takes "/mcp/slow" too).  It gets the request
#
#     { method, path, query, headers => {lower case => value}, body, json,
#       rest => what follows the handler's path, n => requests seen so far }
#
# and answers with any of
#
#     status   => 200                 headers => { 'X-Name' => 'value' }
#     json     => any value           body    => 'text'
#     delay    => seconds before the answer begins
#     chunks   => [ [seconds, 'text'], ... ]   chunked, each after its pause;
#                 the last chunk is followed by the end, unless hang is set
#     length   => a Content-Length that lies
#     raw      => 'bytes'             the answer as it stands, then close
#     cut      => n                   only n bytes of the body, then close
#     reset    => 1                   RST instead of an answer (after "cut"
#                                     bytes of the body where that is set)
#     hang     => 1                   never ends what it has begun to say
#     close    => 1                   closes the connection afterwards
#
# violation => 'text' is what was wrong with the request: violations() has them.
# An answer { hang => 1 } alone says nothing at all and keeps the connection.
# Handlers run in the child: what they remember is not seen by the test, which
# reads requests() instead.  max_active of a path's requests, the highest
# number that were open at a time, active, those open now, and the connections
# made are told by $server->stats; $server->closed lists the requests whose
# client closed before it had the whole answer: {path, n, at => when it closed}.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER SOMAXCONN);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8->canonical->allow_nonref;


sub start {
    my ($class, %handlers) = @_;
    my $port = delete $handlers{port};
    my $listen = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port || 0, Proto => 'tcp',
        Listen => SOMAXCONN, ReuseAddr => 1) or die "listen: $!\n";
    my $self = bless { port => $listen->sockport, owner => $$ }, $class;

    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        # the test's own END blocks and temp folders are not this process's
        $SIG{TERM} = $SIG{INT} = sub { require POSIX; POSIX::_exit(0) };
        $SIG{PIPE} = 'IGNORE';
        eval { serve($listen, \%handlers, getppid) };
        print STDERR "scripted server: $@" if $@;
        require POSIX;
        POSIX::_exit(1);
    }

    close $listen;
    $self->{pid} = $pid;
    return $self;
}


sub port { return $_[0]{port} }

sub url {
    my ($self, $path) = @_;
    return "http://127.0.0.1:$self->{port}" . (defined $path ? $path : '');
}


sub requests {
    my ($self, $path) = @_;
    my $list = $self->control('/_requests');
    return [ grep { !defined $path || index($_->{path}, $path) == 0 } @$list ];
}

sub forget { return $_[0]->control('/_forget') }
sub stats { return $_[0]->control('/_stats') }
sub closed { return $_[0]->control('/_closed') }
sub violations { return $_[0]->control('/_violations') }


sub control {
    my ($self, $path) = @_;
    require HTTP::Tiny;
    my $answer = HTTP::Tiny->new(timeout => 30)->get($self->url($path));
    die "scripted server: $answer->{content}\n" unless $answer->{success};
    return $json->decode($answer->{content});
}


sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    return unless $self->{owner} == $$;
    local $?;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY { return $_[0]->stop }


# ---- the child ----

sub serve {
    my ($listen, $handlers, $parent) = @_;
    my $state = {
        handlers => $handlers, requests => [], conns => {}, timers => [],
        active => {}, max_active => {}, closed => [], violations => [],
        n => 0,
    };
    $listen->blocking(0);

    while (getppid == $parent) {
        my ($rin, $win) = ('', '');
        vec($rin, fileno($listen), 1) = 1;
        for (values %{$state->{conns}}) {
            vec($rin, fileno($_->{sock}), 1) = 1;
            vec($win, fileno($_->{sock}), 1) = 1 if length $_->{out};
        }

        my $wait = 1;
        if (@{$state->{timers}}) {
            my $left = $state->{timers}[0][0] - time;
            $wait = $left < 0 ? 0 : $left if $left < $wait;
        }
        my $n = select(my $r = $rin, my $w = $win, undef, $wait);

        run_timers($state);
        next if $n <= 0;

        if (vec($r, fileno($listen), 1)) {
            while (my $sock = $listen->accept) {
                $sock->blocking(0);
                $state->{connections}++;
                setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1;
                $state->{conns}{fileno $sock} =
                    { sock => $sock, in => '', out => '', fd => fileno $sock };
            }
        }
        for my $c (values %{$state->{conns}}) {
            flush_out($state, $c) if vec($w, $c->{fd}, 1);
            read_in($state, $c) if !$c->{gone} && vec($r, $c->{fd}, 1);
        }
    }
    return;
}


sub at {
    my ($state, $when, $what) = @_;
    my $timers = $state->{timers};
    my $i = @$timers;
    $i-- while $i > 0 && $timers->[$i - 1][0] > $when;
    splice @$timers, $i, 0, [ $when, $what ];
    return;
}


sub run_timers {
    my ($state) = @_;
    my $timers = $state->{timers};
    while (@$timers && $timers->[0][0] <= time) {
        (shift @$timers)->[1]->();
    }
    return;
}


sub drop {
    my ($state, $c, $reset) = @_;
    return if $c->{gone}++;
    leave($state, $c);
    setsockopt $c->{sock}, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0 if $reset;
    delete $state->{conns}{$c->{fd}};
    close $c->{sock};
    return;
}


sub leave {
    my ($state, $c) = @_;
    my $key = delete $c->{busy};
    $state->{active}{$key}-- if defined $key;
    return;
}


sub read_in {
    my ($state, $c) = @_;
    my $n = sysread $c->{sock}, $c->{in}, 65536, length $c->{in};
    return if !defined $n && $!{EAGAIN};
    if (!$n) {
        push @{$state->{closed}}, { %{$c->{req}}, at => time }
            if length($c->{busy} || '');
        return drop($state, $c);
    }
    next_request($state, $c);
    return;
}


sub next_request {
    my ($state, $c) = @_;
    return if defined $c->{busy} || $c->{gone};
    return unless $c->{in} =~ /\r\n\r\n/;

    my $head = substr $c->{in}, 0, $-[0];
    my $at = $+[0];
    my ($line, @lines) = split /\r\n/, $head;
    my %headers = map { /^([^:]+):\s*(.*?)\s*$/ ? (lc $1 => $2) : () } @lines;
    my ($body, $end);

    if (($headers{'transfer-encoding'} || '') eq 'chunked') {
        ($body, $end) = read_chunks(substr $c->{in}, $at);
        return unless defined $end;

    } else {
        $end = $headers{'content-length'} || 0;
        return if length($c->{in}) - $at < $end;
        $body = substr $c->{in}, $at, $end;
    }

    substr($c->{in}, 0, $at + $end) = '';
    answer($state, $c, $line, \%headers, $body);
    return;
}


sub read_chunks {
    my ($text) = @_;
    my ($body, $at) = ('', 0);

    while (substr($text, $at) =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n/) {
        my ($size, $from) = (hex $1, $at + $+[0]);
        return if length $text < $from + $size + 2;
        return ($body, $from + 2) if $size == 0;
        $body .= substr $text, $from, $size;
        $at = $from + $size + 2;
    }
    return;
}


sub answer {
    my ($state, $c, $line, $headers, $body) = @_;
    my ($method, $target) = split / /, $line;
    my ($path, $query) = split /\?/, $target, 2;

    $c->{busy} = '';
    return reply($state, $c, { json => control_answer($state, $path) })
        if $path =~ m{^/_};

    my ($prefix) = sort { length $b <=> length $a }
                   grep { $path eq $_ || index($path, "$_/") == 0 }
                   keys %{$state->{handlers}};
    my $req = {
        method => $method, path => $path, query => $query,
        headers => $headers, body => $body,
        json => scalar eval { $json->decode($body) },
        n => $state->{n}++, at => time,
    };
    push @{$state->{requests}}, { %$req };
    $c->{req} = { path => $path, n => $req->{n} };

    my $key = $c->{busy} = $path;
    my $active = ++$state->{active}{$key};
    $state->{max_active}{$key} = $active
        if $active > ($state->{max_active}{$key} || 0);

    return reply($state, $c, { status => 404, body => "no handler\n" })
        unless defined $prefix;

    $req->{rest} = substr $path, length $prefix;
    my $answer = eval { $state->{handlers}{$prefix}->($req) };
    $answer = { status => 500, body => "handler: $@" } unless $answer;
    push @{$state->{violations}}, $answer->{violation}
        if defined $answer->{violation};
    return reply($state, $c, $answer) unless $answer->{delay};
    at($state, time + $answer->{delay},
       sub { reply($state, $c, $answer) unless $c->{gone} });
    return;
}


sub control_answer {
    my ($state, $path) = @_;
    return $state->{requests} if $path eq '/_requests';
    return { map { $_ => $state->{$_} }
             qw(max_active active connections n) }
        if $path eq '/_stats';
    return $state->{closed} if $path eq '/_closed';
    return $state->{violations} if $path eq '/_violations';
    $state->{requests} = [];
    $state->{max_active} = {};
    $state->{closed} = [];
    return [];
}


my %reason = (200 => 'OK', 202 => 'Accepted', 204 => 'No Content');

sub reply {
    my ($state, $c, $a) = @_;
    my $status = $a->{status} || 200;
    my $body = exists $a->{json} ? $json->encode($a->{json}) : $a->{body};
    my %headers = %{$a->{headers} || {}};

    if (defined $a->{raw}) {
        $c->{closing} = 1;
        return say_it($state, $c, $a->{raw});
    }
    return if $a->{hang} && !defined $body && !$a->{chunks};
    return drop($state, $c, 1) if $a->{reset} && !defined $a->{cut};

    $body = '' unless defined $body;
    utf8::encode($body) if utf8::is_utf8($body);
    $headers{'Content-Type'} ||= exists $a->{json} ? 'application/json'
                                                   : 'text/plain';
    if ($a->{chunks}) {
        $headers{'Transfer-Encoding'} = 'chunked';
    } elsif ($status != 204) {
        $headers{'Content-Length'} = defined $a->{length} ? $a->{length}
                                                          : length $body;
    }
    $headers{'Connection'} = 'close' if $a->{close};

    my $text = join "\r\n", "HTTP/1.1 $status " . ($reason{$status} || 'Said'),
                    (map { "$_: $headers{$_}" } sort keys %headers), '', '';

    return stream($state, $c, $text, $a) if $a->{chunks};

    $body = substr $body, 0, $a->{cut} if defined $a->{cut};
    $c->{closing} = 1 if $a->{close} || defined $a->{cut};
    $c->{reset} = 1 if $a->{reset};
    $c->{hanging} = 1 if $a->{hang};
    return say_it($state, $c, $text . $body);
}


sub stream {
    my ($state, $c, $head, $a) = @_;
    my @chunks = @{$a->{chunks}};
    my $next;

    $c->{hanging} = 1;
    say_it($state, $c, $head);

    $next = sub {
        return undef $next if $c->{gone};
        if (!@chunks) {
            undef $next;
            return if $a->{hang};
            $c->{hanging} = 0;
            if ($a->{reset} || $a->{cut}) {
                return drop($state, $c, $a->{reset});
            }
            $c->{closing} = 1 if $a->{close};
            return say_it($state, $c, "0\r\n\r\n");
        }
        my ($pause, $text) = @{shift @chunks};
        at($state, time + $pause, sub {
            return undef $next if $c->{gone};
            utf8::encode($text) if utf8::is_utf8($text);
            say_it($state, $c, sprintf("%x\r\n%s\r\n", length $text, $text))
                if length $text;
            $next->() if $next;
        });
    };
    $next->();
    return;
}


sub say_it {
    my ($state, $c, $text) = @_;
    return if $c->{gone};
    $c->{out} .= $text;
    flush_out($state, $c);
    return;
}


sub flush_out {
    my ($state, $c) = @_;

    while (length $c->{out}) {
        my $n = syswrite $c->{sock}, $c->{out}, 262144;
        return if !defined $n && $!{EAGAIN};
        return drop($state, $c) unless defined $n;
        substr($c->{out}, 0, $n) = '';
    }
    return if $c->{hanging};
    return drop($state, $c, $c->{reset}) if $c->{closing};
    leave($state, $c);
    next_request($state, $c);
    return;
}


1;
