#!/usr/bin/perl

# Starts quickstart.conf in a data folder, shows one run of an agent as it
# happens, and stays until Ctrl-C.
#
#     quickstart.pl [--build DIR] [--data DIR] [--port N] [--local DIR]
#                   [--once]
#
# --once ends after the run: exit status 0 if it completed.  The demonstration's
# model and MCP server listen on the port that follows.  --local serves the
# model that util/local-model has installed in DIR, on the next one.

use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use Getopt::Long;
use HTTP::Tiny;
use IO::Handle;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);

my ($build, $data, $port, $once, $local) = ('build', undef, 8080, 0);
GetOptions('build=s' => \$build, 'data=s' => \$data, 'port=i' => \$port,
           'once' => \$once, 'local=s' => \$local)
    or die "usage: quickstart.pl [--build DIR] [--data DIR] [--port N]"
           . " [--local DIR] [--once]\n";

my $here = Cwd::abs_path(dirname(__FILE__));
my $question = 'Search the docs: where does a run keep its state?';
my $plane = 'f79cbdae-4848-47ca-95e8-69588364d185';
my $model = 'anthropic.claude-opus-4.6';

$build = Cwd::abs_path($build) || die "there is no $build: run make first\n";
$data = "$build/run" unless defined $data;
make_path($data);
$data = Cwd::abs_path($data);

my $nginx = $ENV{TEST_NGINX_BINARY} || 'nginx';
my $base = "http://127.0.0.1:$port";
my $json = JSON::PP->new->utf8->canonical;
my $http = HTTP::Tiny->new(timeout => 30);
my ($pid, $model_pid, $token, $stopping);

STDOUT->autoflush(1);
binmode STDOUT, ':encoding(UTF-8)';

port_is_free($_) for $port .. $port + (defined $local ? 2 : 1);
prepare();
start_model() if defined $local;
start();
END { stop() }
$token = token();
my $completed = demonstrate();

if ($once) {
    exit($completed ? 0 : 1);
}

what_next();
while (!$stopping) {
    # wait() comes back for a signal, and when nginx is gone
    if (waitpid($pid, 0) == $pid) {
        undef $pid;
        print "\nnginx has ended.\n";
        exit($stopping ? 0 : 1);
    }
}
print "\nstopping nginx\n";
exit 0;


# ---- nginx ----

sub port_is_free {
    my ($n) = @_;
    return if IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $n, Proto => 'tcp', Listen => 1, ReuseAddr => 1);
    my $why = "$!";
    print STDERR "127.0.0.1:$n cannot be used ($why): is something else"
                 . " listening there, or an earlier make run?\n"
                 . "For two other ports, side by side: PORT=9000 make run\n";
    exit 1;
}


# The data folder is nginx's prefix: the configuration's relative paths are
# below it.
sub prepare {
    make_path(map { "$data/$_" } qw(logs tmp modules demo));

    my $key = $ENV{OPENAI_API_KEY};
    my $id = $ENV{OPENAI_MODEL};
    my $models = defined $local ? 'local'
               : defined $key && length $key ? 'openai' : 'demo';
    my %changes = (8080 => $port, 8081 => $port + 1, 8082 => $port + 2);
    $changes{'gpt-4o-mini'} = $id if defined $id && length $id;

    place("$here/../quickstart.conf", "$data/nginx.conf", %changes);
    place("$here/$models.conf", "$data/models.conf", %changes);
    copy("$here/$_", "$data/demo/$_") or die "$data/demo/$_: $!\n"
        for qw(demo_model.js demo_mcp.js);
    write_file("$data/resolver.conf", resolver());

    my $debian = '/usr/lib/nginx/modules/ngx_http_js_module.so';
    for ("$build/ngx_http_agents_module.so", $debian) {
        my ($name) = m{([^/]+)$};
        unlink "$data/modules/$name";
        symlink $_, "$data/modules/$name" or die "$data/modules/$name: $!\n";
    }

    print $models eq 'local'
        ? "The model is a small one on this machine: it speaks, and knows"
          . " little.\n"
        : $models eq 'demo'
        ? "No OPENAI_API_KEY: a scripted model stands in, for demonstration.\n"
        : 'The model is ' . ($id || 'gpt-4o-mini') . " of OpenAI.\n";
    return;
}


sub place {
    my ($from, $to, %changes) = @_;
    open my $in, '<', $from or die "$from: $!\n";
    my $text = do { local $/; <$in> };
    my $re = join '|', map { quotemeta } sort keys %changes;
    $text =~ s/\b($re)\b/$changes{$1}/g;
    return write_file($to, $text);
}


sub write_file {
    my ($path, $text) = @_;
    open my $out, '>', $path or die "$path: $!\n";
    print $out $text;
    close $out or die "$path: $!\n";
    return;
}


# This machine's own resolvers, in nginx's words.
sub resolver {
    open my $in, '<', '/etc/resolv.conf' or return '';
    my @servers = map { /^\s*nameserver\s+([\d.]+)\s*$/ ? $1
                      : /^\s*nameserver\s+([0-9a-fA-F:]+)\s*$/ ? "[$1]" : () }
                  <$in>;
    return @servers ? "resolver @servers;\nresolver_timeout 5s;\n" : '';
}


sub start {
    # nginx drops root for the user of its package, who may not be able to
    # reach this folder; on the loopback, for a demonstration, it stays who
    # started it.
    my $globals = 'daemon off;' . ($> == 0 ? ' user root;' : '');
    my @command = ($nginx, '-p', $data, '-e', 'logs/error.log', '-c',
                   "$data/nginx.conf", '-g', $globals);

    # a shorter way to say it than half a page of log
    my $check = fork_off(sub {
        open STDERR, '>', "$data/logs/start.log";
        exec @command, '-t', '-q';
    });
    waitpid $check, 0;
    if ($? != 0) {
        open my $in, '<', "$data/logs/start.log";
        print STDERR $in ? <$in> : ();
        exit 1;
    }

    $SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub {
        $stopping = 1;
        kill 'QUIT', $pid if $pid;
    };
    $pid = fork_off(sub {
        # Ctrl-C is for this script, which then stops nginx in good order
        POSIX::setpgid(0, 0);
        open STDERR, '>>', "$data/logs/start.log";
        exec @command;
    });

    for (1 .. 250) {
        my $answer = $http->get("$base/agents/conversations");
        return if $answer->{status} == 401;
        last if waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.02;
    }
    print STDERR "nginx did not come up; see $data/logs/error.log\n";
    exit 1;
}


# A model takes a moment to be read.
sub start_model {
    $model_pid = fork_off(sub {
        POSIX::setpgid(0, 0);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$data/logs/model.log";
        open STDERR, '>&', \*STDOUT;
        exec "$here/../../util/local-model", 'serve', $local, $port + 2;
    });

    for (1 .. 600) {
        my $health = 'http://127.0.0.1:' . ($port + 2) . '/health';
        return if $http->get($health)->{success};
        last if waitpid($model_pid, POSIX::WNOHANG()) == $model_pid;
        sleep 0.1;
    }
    print STDERR "the model did not come up; see $data/logs/model.log\n";
    exit 1;
}


sub fork_off {
    my ($what) = @_;
    my $child = fork;
    die "fork: $!\n" unless defined $child;
    return $child if $child;
    # in $what: exec; this is for when it fails
    eval { $what->() };
    POSIX::_exit(127);
}


sub stop {
    my $status = $?;
    kill 'QUIT', $pid if $pid;
    for (1 .. 250) {
        last if !$pid || waitpid($pid, POSIX::WNOHANG()) != 0;
        kill 'TERM', $pid if $_ == 200;
        sleep 0.02;
    }
    if ($model_pid) {
        kill 'TERM', $model_pid;
        waitpid $model_pid, 0;
    }
    undef $pid;
    undef $model_pid;
    $? = $status;
    return;
}


# The token of an earlier start, if it still is one, else a new one.
sub token {
    my $file = "$data/token";

    if (open my $in, '<', $file) {
        chomp($token = <$in> || '');
        return $token if call('GET', '/agents/conversations')->{status} == 200;
    }

    open my $out, '-|', "$build/agentsctl", 'token', 'create',
        '--store', "sqlite:$data/agents.db", '--company', 'demo', '--user',
        'demo', '--permission', 'read', '--permission', 'write'
        or die "agentsctl: $!\n";
    chomp($token = <$out> || '');
    close $out or die "agentsctl could not make a token\n";

    my $mask = umask 077;
    write_file($file, "$token\n");
    umask $mask;
    return $token;
}


# ---- the run ----

sub call {
    my ($method, $path, $body) = @_;
    my $answer = $http->request($method, $base . $path, {
        headers => { Authorization => "Bearer $token",
                     $body ? ('Content-Type' => 'application/json') : () },
        $body ? (content => $json->encode($body)) : () });
    $answer->{json} = eval { $json->decode($answer->{content}) };
    return $answer;
}


sub must {
    my ($status, @call) = @_;
    my $answer = call(@call);
    return $answer->{json} if $answer->{status} == $status;
    print STDERR "$call[0] $call[1]: $answer->{status} $answer->{content}\n";
    exit 1;
}


sub step {
    my ($since, $what, $text) = @_;
    my $indent = ' ' x 27;
    $text =~ s/\n\s*/\n$indent/g;
    printf "%8.3f s  %-14s %s\n", time - $since, $what, $text;
    return;
}


sub demonstrate {
    my $t = time;
    print "\n";

    my $conversation = must(201, 'POST', '/agents/conversations', {
        system_prompt => 'You answer from what your tools tell you, in two or'
                         . ' three sentences.',
        defaults => {
            model => $model, data_plane_id => $plane,
            execution_cluster => 'shared', max_iterations => 5,
            mcp_servers => [ { alias => 'demo',
                url => 'http://127.0.0.1:' . ($port + 1) . '/mcp',
                description => 'Documentation and sums' } ],
        },
    });
    step($t, 'created', "conversation $conversation->{id}");

    my $path = "/agents/conversations/$conversation->{id}";
    my $run = must(202, 'POST', "$path/runs", {
        client_op_id => uuid(), expected_version => 0,
        payload => { kind => 'user_message', text => $question },
        # one that is so small would hardly call a tool by itself
        defined $local ? (tool_choice => { kind => 'specific_tool',
            mcp_alias => 'demo', name => 'search_docs' }) : (),
    });
    step($t, 'question', $question);
    step($t, "run $run->{status}", $run->{id});

    $run = follow($t, $run);
    my $error = $run->{error} || {};
    my $answer = $run->{status} eq 'completed' ? $run->{final_text}
               : "$error->{title}: $error->{message}";
    step($t, $run->{status}, "$run->{iterations_used} iterations,"
                             . " $run->{usage}{total_tokens} tokens");
    step($t, 'answer', $answer);

    # the title is written on the side
    for (1 .. 30) {
        my $name = must(200, 'GET', $path)->{name};
        if (defined $name) {
            step($t, 'title', $name);
            last;
        }
        sleep 0.05;
    }
    return $run->{status} eq 'completed';
}


# Polls a run to its end, printing what comes to be seen of it.
sub follow {
    my ($t, $run) = @_;
    my ($status, %shown) = ($run->{status});
    my $end = time + 180;

    while (time < $end && !$stopping) {
        $run = must(200, 'GET', "/agents/runs/$run->{id}");

        if ($run->{status} =~ /^(?:completed|requires_action|failed)$/) {
            show($t, \%shown, committed($run));
            return $run;
        }
        if ($run->{status} ne $status) {
            $status = $run->{status};
            step($t, "run $status", '');
        }
        show($t, \%shown, map { @{$_->{content_blocks}} }
                          @{$run->{live}{messages}});
        sleep 0.03;
    }
    print STDERR "the run has not ended: $run->{id}\n" unless $stopping;
    exit 1;
}


sub committed {
    my ($run) = @_;
    my $page = must(200, 'GET', "/agents/conversations/$run->{conversation_id}"
                                . '/messages?since=0');
    return map { @{$_->{content_blocks}} } @{$page->{messages}};
}


sub show {
    my ($t, $shown, @blocks) = @_;

    for (@blocks) {
        my ($type, $id) = @$_{qw(type tool_use_id)};
        next if $type !~ /^tool_/ || $shown->{"$type $id"}++;

        if ($type eq 'tool_use') {
            step($t, 'tool called',
                 "$_->{name} " . JSON::PP->new->canonical
                                 ->encode($_->{arguments}));
        } else {
            my $text = join ' ', map { $_->{text} } @{$_->{content}};
            $text =~ s/\s+/ /g;
            $text = substr($text, 0, 100) . ' ...' if length $text > 104;
            step($t, $_->{is_error} ? 'tool failed' : 'result', $text);
        }
    }
    return;
}


sub uuid {
    my @h = map { sprintf '%04x', int rand 65536 } 1 .. 8;
    return "$h[0]$h[1]-$h[2]-4" . substr($h[3], 1) . '-8' . substr($h[4], 1)
           . "-$h[5]$h[6]$h[7]";
}


sub what_next {
    my $mcp = 'http://127.0.0.1:' . ($port + 1) . '/mcp';
    print <<"TEXT";

nginx serves the API until Ctrl-C.  To go on in another terminal:

export API=$base TOKEN=$token

curl "\$API/agents/conversations" -H "Authorization: Bearer \$TOKEN"

curl -X POST "\$API/agents/conversations" \\
  -H "Authorization: Bearer \$TOKEN" -H "Content-Type: application/json" \\
  -d '{"name": "hello world", "defaults": {"model": "$model",
       "data_plane_id": "$plane",
       "execution_cluster": "shared",
       "mcp_servers": [{"alias": "demo", "url": "$mcp"}]}}'

CONVERSATION=...the id of the answer
curl -X POST "\$API/agents/conversations/\$CONVERSATION/runs" \\
  -H "Authorization: Bearer \$TOKEN" -H "Content-Type: application/json" \\
  -d '{"client_op_id": "'"\$(cat /proc/sys/kernel/random/uuid)"'",
       "expected_version": 0,
       "payload": {"kind": "user_message", "text": "What is 2 + 2?"}}'

RUN=...the id of the answer
curl "\$API/agents/runs/\$RUN" -H "Authorization: Bearer \$TOKEN"

Logs and data: $data
The catalog of errors: $base/errors
The console, for a browser and that token: $base/console/
TEXT
    return;
}
