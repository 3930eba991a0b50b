package AgentsTest;

# A private nginx with the module, for tests of whole flows.
#
#     use FindBin;
#     use lib "$FindBin::Bin/lib";
#     use AgentsTest;                          # Test::More comes with it
#
#     for my $m (AgentsTest->matrix) {         # sqlite, and postgres if it is
#         my $t = AgentsTest->new(%$m);        # there: $m->{name} says which
#         $t->start;
#         my $conv = $t->conversation;                    # POST, 201
#         my $run = $t->run($conv, 'hello');              # POST, 202
#         $run = $t->finished($run);                      # polls to the end
#         is $run->{final_text}, 'echo: hello', 'the answer';
#         $t->clean;       # a test: no sanitizer report, no line at [error]
#     }
#     done_testing;
#
# new() takes
#
#     store     => 'sqlite' | 'postgres' | a spec of agents_store
#     workers   => 2
#     handlers  => { path => handler }   for AgentsTest::Server; by default the
#                  protocols' paths are the scripted model and /mcp is the
#                  scripted MCP server; see AgentsTest::Model, AgentsTest::Mcp
#     protocol  => a name of AgentsTest::Protocols, default 'openai'
#     model     => { options of AgentsTest::Model::handler }
#     auth      => 'agents_auth ...;'    default: tokens made by agentsctl
#     provider, plane, model_line, main, http, server, location, mcp_location
#               => further lines of the configuration, in these places
#     replace   => { 'text' => 'other' } exact changes of the configuration
#     config    => the whole http {} block's content, if none of this fits;
#                  %PORT%, %MOCK% (the scripted server's port) and %PREFIX%
#                  are put in
#     wait      => 0: start() does not wait for the store
#
#     mock      => the AgentsTest::Server of another test object, to share it
#
# The scripted server is $t->mock.
#
# Requests are made as user "ann" of company "acme" unless told otherwise:
# get, post, patch, delete take (path, body, options), where a body that is a
# reference goes as JSON and options are user, company, permissions, token
# (undef: none), headers.  An answer is {status, headers, content, json}.
#
# Environment: AGENTS_BUILD (default "build"), TEST_NGINX_BINARY,
# AGENTS_TEST_STORES (default: both), AGENTS_TEST_WORKERS (of matrix(), a list
# such as "1 4"), AGENTS_KEEP=1 leaves the folder.

use strict;
use warnings;
use parent 'Exporter';
use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use File::Temp ();
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);
use AgentsTest::Mcp;
use AgentsTest::Model;
use AgentsTest::Postgres;
use AgentsTest::Protocols;
use AgentsTest::Record;
use AgentsTest::Server;

our @EXPORT = (@Test::More::EXPORT, qw(uuid script));

our $TOP = Cwd::abs_path(dirname(__FILE__) . '/../..');
$ENV{PATH} .= ':/usr/sbin';     # nginx is where Debian's users do not look

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

our $PLANE = 'f79cbdae-4848-47ca-95e8-69588364d185';
our $MODEL = 'anthropic.claude-opus-4.6';


sub build_dir {
    my $dir = $ENV{AGENTS_BUILD} || 'build';
    return $dir =~ m{^/} ? $dir : "$TOP/$dir";
}

sub module_path { return build_dir() . '/ngx_http_agents_module.so' }
sub binary { return $ENV{TEST_NGINX_BINARY} || 'nginx' }

sub script { return AgentsTest::Model::script(@_) }


# The stores that a test can run with.
sub stores {
    return split /[ ,]+/, $ENV{AGENTS_TEST_STORES} if $ENV{AGENTS_TEST_STORES};
    return ('sqlite', AgentsTest::Postgres::available() ? 'postgres' : ());
}


# Each store with each number of workers: what new() takes.  Without the
# environment's word they are two, or as many as the test says.
sub matrix {
    my ($class, @workers) = @_;
    @workers = split /[ ,]+/, $ENV{AGENTS_TEST_WORKERS}
        if $ENV{AGENTS_TEST_WORKERS};
    @workers = (2) unless @workers;

    return map { my $store = $_; map { {
        store => $store, workers => $_,
        name => $store . (@workers > 1 || $_ != 2 ? ", $_ workers" : ''),
    } } @workers } $class->stores;
}


sub uuid {
    my @h = map { sprintf '%04x', int rand 65536 } 1 .. 8;
    substr($h[3], 0, 1) = '4';
    substr($h[4], 0, 1) = '8';
    return "$h[0]$h[1]-$h[2]-$h[3]-$h[4]-$h[5]$h[6]$h[7]";
}


# Below the ports that the system gives to connections: one of those could be
# taken before nginx has bound it.
sub free_port {
    for (1 .. 100) {
        my $port = 10240 + int rand 20000;
        my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Proto => 'tcp', Listen => 1) or next;
        return $port;
    }
    die "no port is free: $!\n";
}


# The folder with njs, if the nginx that is tested loads it: that of Debian is
# for the nginx of Debian.
sub njs {
    for my $dir ('/usr/lib/nginx/modules', '/usr/lib64/nginx/modules') {
        next unless -e "$dir/ngx_http_js_module.so";
        my $prefix = File::Temp::tempdir('agents-t-XXXXXX', TMPDIR => 1,
                                         CLEANUP => 1);
        open my $out, '>', "$prefix/nginx.conf" or die "conf: $!\n";
        print $out "load_module $dir/ngx_http_js_module.so; events {}\n",
                   "pid nginx.pid;\n";
        close $out or die "conf: $!\n";
        my $binary = binary();
        my $said = qx($binary -t -p $prefix -e stderr -c nginx.conf 2>&1);
        return $dir if $? == 0;
    }
    return;
}


# ---- life ----

sub new {
    my ($class, %args) = @_;
    my $self = bless { store => 'sqlite', workers => 2, wait => 1,
                       protocol => 'openai', %args, owner => $$,
                       tokens => {}, allowed => [] }, $class;

    $self->{prefix} = File::Temp::tempdir('agents-t-XXXXXX', TMPDIR => 1);
    mkdir "$self->{prefix}/$_" for qw(logs conf);
    $self->{port} ||= free_port();
    $self->{mock} ||= AgentsTest::Server->start($self->handlers);

    if ($self->{store} eq 'sqlite') {
        $self->{store} = "sqlite:$self->{prefix}/agents.db";

    } elsif ($self->{store} eq 'postgres') {
        $self->{postgres} = AgentsTest::Postgres->shared;
        $self->{store} = $self->{postgres}->database;
        $self->ctl('migrate');
    }
    return $self;
}


# Whoever plays the model, the requests are looked at.
sub handlers {
    my ($self) = @_;
    my $model = AgentsTest::Model::handler(%{$self->{model} || {}});
    my %handlers = (
        map({ $_->path => $model } AgentsTest::Protocols->all),
        '/mcp' => AgentsTest::Mcp::handler(),
        %{$self->{handlers} || {}});

    return map { $_ => ref $handlers{$_} eq 'CODE'
                 ? AgentsTest::Protocols::checked($handlers{$_})
                 : $handlers{$_} } keys %handlers;
}


sub mock { return $_[0]{mock} }
sub prefix { return $_[0]{prefix} }
sub store { return $_[0]{store} }
sub base { return "http://127.0.0.1:$_[0]{port}" }
sub mcp { return $_[0]{mock}->url('/mcp' . ($_[1] || '')) }


sub start {
    my ($self) = @_;
    $self->write_conf;
    my ($status, $out) = $self->nginx;
    die "nginx did not start:\n$out", $self->log if $status != 0;
    $self->{started} = 1;
    $self->wait_for(10, sub { -s "$self->{prefix}/nginx.pid" })
        or die "nginx wrote no pid\n";
    $self->ready if $self->{wait};
    return $self;
}


# Waits until the API answers something else than 503.
sub ready {
    my ($self) = @_;
    my $answer;
    $self->wait_for(20, sub {
        $answer = $self->get('/agents/conversations?per_page=1');
        return $answer->{status} < 500;
    }) or die "the API is not ready: $answer->{status} $answer->{content}\n",
              $self->log;
    return $self;
}


# Runs nginx with this test's prefix: (exit status, output).
sub nginx {
    my ($self, @args) = @_;
    my $out = "$self->{prefix}/logs/nginx.out";
    my $pid = fork;
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $out;
        open STDERR, '>&', \*STDOUT;
        $ENV{ASAN_OPTIONS} = join ':', grep { defined && length }
            $ENV{ASAN_OPTIONS}, "log_path=$self->{prefix}/logs/asan";
        $ENV{UBSAN_OPTIONS} = join ':', grep { defined && length }
            $ENV{UBSAN_OPTIONS}, "log_path=$self->{prefix}/logs/asan";
        exec binary(), '-p', $self->{prefix}, '-e', 'logs/error.log',
             '-c', "$self->{prefix}/conf/nginx.conf", @args;
        exit 127;
    }
    waitpid $pid, 0;
    return ($?, slurp($out));
}


# What "nginx -t" says of the configuration: (exit status, output).
sub check {
    my ($self) = @_;
    $self->write_conf;
    return $self->nginx('-t');
}


sub pid {
    my ($self) = @_;
    my $pid = slurp("$self->{prefix}/nginx.pid");
    return $pid =~ /(\d+)/ ? $1 : undef;
}


sub workers {
    my ($self) = @_;
    my $master = $self->pid or return;
    my $children = slurp("/proc/$master/task/$master/children");
    return grep { slurp("/proc/$_/cmdline") =~ /worker process/ }
           split ' ', $children;
}


# Resident memory of all workers, in KiB.
sub rss {
    my ($self) = @_;
    my $sum = 0;
    for ($self->workers) {
        $sum += $1 if slurp("/proc/$_/status") =~ /^VmRSS:\s+(\d+)/m;
    }
    return $sum;
}


# True once there are new workers; with gone => 1 once the old ones have left,
# who may take a few more requests.
sub reload {
    my ($self, %o) = @_;
    my %old = map { $_ => 1 } $self->workers;
    $self->write_conf;
    kill 'HUP', $self->pid;
    return $self->wait_for($o{gone} ? 30 : 10, sub {
        my @new = grep { !$old{$_} } $self->workers;
        return @new && !($o{gone} && grep { alive($_) } keys %old);
    });
}


# A process that ended but was not reaped yet (its parent is not this test) is
# as good as gone.
sub alive {
    my ($pid) = @_;
    return kill(0, $pid) && slurp("/proc/$pid/stat") !~ /^\d+ \(.*\) Z /s;
}


# "QUIT" lets requests end, "TERM" does not; true once nginx is gone.
sub stop {
    my ($self, $signal) = @_;
    return 1 unless delete $self->{started};
    my $pid = $self->pid or return 1;
    kill $signal || 'QUIT', $pid;
    return 1 if $self->wait_for(20, sub { !alive($pid) });
    kill 'TERM', $pid;
    return 0 if $self->wait_for(5, sub { !alive($pid) });
    kill 'KILL', $pid, $self->workers;
    return 0;
}


sub DESTROY {
    my ($self) = @_;
    return unless $self->{owner} == $$;
    local ($?, $@);
    eval { $self->stop('TERM') };
    $self->{mock}->stop if $self->{mock};
    return diag("left: $self->{prefix}") if $ENV{AGENTS_KEEP};
    File::Path::remove_tree($self->{prefix}, { safe => 0 });
    return;
}


# ---- configuration ----

sub write_conf {
    my ($self) = @_;
    my $conf = $self->conf;
    open my $out, '>', "$self->{prefix}/conf/nginx.conf" or die "conf: $!\n";
    print $out $conf;
    close $out or die "conf: $!\n";
    return;
}


sub conf {
    my ($self) = @_;
    my %p = map { $_ => defined $self->{$_} ? $self->{$_} : '' }
            qw(main http server location provider plane model_line
               mcp_location);
    my $module = module_path();
    my $user = $> == 0 ? 'user root;' : '';
    my $http = defined $self->{config} ? $self->{config} : $self->http(\%p);

    my $conf = <<"CONF";
load_module $module;
$user
worker_processes $self->{workers};
pid nginx.pid;
error_log logs/error.log info;
$p{main}
events { worker_connections 4096; }

http {
    access_log logs/access.log;
    client_body_temp_path tmp_body;
    proxy_temp_path tmp_proxy;
    fastcgi_temp_path tmp_fastcgi;
    uwsgi_temp_path tmp_uwsgi;
    scgi_temp_path tmp_scgi;
    default_type text/plain;
$http
}
CONF

    for (keys %{$self->{replace} || {}}) {
        die "nothing to replace: $_\n" unless $conf =~ /\Q$_\E/;
        $conf =~ s/\Q$_\E/$self->{replace}{$_}/g;
    }
    $conf =~ s/%PORT%/$self->{port}/g;
    $conf =~ s/%MOCK%/$self->{mock}->port/ge;
    $conf =~ s/%PREFIX%/$self->{prefix}/g;
    return $conf;
}


sub http {
    my ($self, $p) = @_;
    my $auth = $self->{auth} || 'agents_auth token;';
    my $protocol = AgentsTest::Protocols->named($self->{protocol});
    my ($endpoint, $id) = ($protocol->endpoint, $protocol->model);
    return <<"CONF";
    agents_store "$self->{store}";
    agents_zone agents:1m;
$p->{http}
    agents_provider scripted {
        protocol @{[ $protocol->protocol ]};
        endpoint http://127.0.0.1:%MOCK%$endpoint;
        api_key test-key;
        $p->{provider}
    }
    agents_data_plane $PLANE {
        cluster shared;
        model $MODEL provider=scripted id=$id max_tokens=32000
              title $p->{model_line};
        $p->{plane}
    }
    server {
        listen 127.0.0.1:%PORT%;
        location /agents {
            agents_api;
            $auth
            client_max_body_size 16m;
            agents_mcp_location /_agents_mcp;
            agents_mcp_allow 127.0.0.0/8;
            $p->{location}
        }
        location /_agents_mcp {
            internal;
            proxy_pass \$agents_mcp_upstream;
            proxy_set_header Host \$agents_mcp_host;
            proxy_http_version 1.1;
            $p->{mcp_location}
        }
        location /errors { agents_errors; }
        $p->{server}
    }
CONF
}


# ---- agentsctl ----

# Its standard output; dies with its words if it fails.
sub ctl {
    my ($self, @args) = @_;
    my ($status, $out, $err) = $self->ctl_status(@args);
    die "agentsctl @args: exit $status: $err\n" if $status;
    return $out;
}


sub ctl_status {
    my ($self, @args) = @_;
    my $err = "$self->{prefix}/logs/ctl.err";
    local $ENV{AGENTS_STORE} = $self->{store};
    my $pid = open my $out, '-|';
    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        open STDERR, '>', $err;
        exec build_dir() . '/agentsctl', @args;
        exit 127;
    }
    my $text = do { local $/; <$out> };
    close $out;
    chomp $text if defined $text;
    return ($? >> 8 || $?, $text, slurp($err));
}


sub token {
    my ($self, %o) = @_;
    my $user = defined $o{user} ? $o{user} : 'ann';
    my $company = defined $o{company} ? $o{company} : 'acme';
    my @permissions = @{$o{permissions} || [ 'read', 'write' ]};

    return $self->{tokens}{join "\0", $company, $user, @permissions} ||=
        $self->ctl('token', 'create', '--company', $company, '--user', $user,
                   map { ('--permission', $_) } @permissions);
}


# SQL in the test's store, any statements: the rows, columns split by "|".
sub sql {
    my ($self, $sql) = @_;
    return $self->{postgres}->psql($self->{store}, $sql) if $self->{postgres};
    my ($file) = $self->{store} =~ /^sqlite:(.*)/;
    open my $out, '-|', 'sqlite3', '-batch', '-bail', '-cmd',
        '.timeout 10000', $file, $sql or die "sqlite3: $!\n";
    my @rows = <$out>;
    close $out or die "sqlite3 failed: $sql\n";
    chomp @rows;
    return wantarray ? @rows : join "\n", @rows;
}


# Another process holds the store against writers until the handle that this
# gives is closed: close $t->hold.
sub hold {
    my ($self) = @_;
    my $mark = "$self->{prefix}/held." . ++$self->{holds};
    my ($in, @command);

    if ($self->{postgres}) {
        my ($name) = $self->{store} =~ /dbname=(\S+)/;
        @command = ("$self->{postgres}{bin}/psql", '-XAtq', '-h',
                    $self->{postgres}{dir}, '-U', 'postgres', '-d', $name);
    } else {
        my ($file) = $self->{store} =~ /^sqlite:(.*)/;
        @command = ('sqlite3', '-batch', '-cmd', '.timeout 10000', $file);
    }
    open $in, '|-', @command or die "$command[0]: $!\n";
    print {$in} $self->{postgres}
        ? "BEGIN; LOCK agents_conversations, agents_runs, agents_workers"
          . " IN EXCLUSIVE MODE;\n\\! touch $mark\n"
        : "BEGIN EXCLUSIVE;\n.shell touch $mark\n";
    $in->flush;
    $self->wait_for(10, sub { -e $mark }) or die "the store is not held\n";
    return $in;
}


# ---- HTTP ----

sub request {
    my ($self, $method, $path, $body, %o) = @_;
    my %headers = %{$o{headers} || {}};
    my %given = map { lc $_ => 1 } keys %headers;

    if (!$given{authorization} && !($self->{auth} && !exists $o{token})) {
        my $token = exists $o{token} ? $o{token} : $self->token(%o);
        $headers{Authorization} = "Bearer $token" if defined $token;
    }
    if (defined $body) {
        $headers{'Content-Type'} = 'application/json'
            unless $given{'content-type'};
        $body = $json->encode($body) if ref $body;
    }

    my $http = $self->{http_client} ||=
        HTTP::Tiny->new(timeout => 70, max_redirect => 0);
    my $answer = $http->request($method, $self->base . $path,
        { headers => \%headers, defined $body ? (content => $body) : () });
    AgentsTest::Record::exchange($method, $path, \%headers, $body, $answer);
    $answer->{json} = eval { $json->decode($answer->{content}) };
    return $answer;
}


sub get { return shift->request('GET', shift, undef, @_) }
sub post { return shift->request('POST', @_) }
sub patch { return shift->request('PATCH', @_) }
sub delete { return shift->request('DELETE', shift, undef, @_) }


# Sends bytes as they stand and gives all that comes back until the server
# closes or "timeout" seconds have passed.
sub raw {
    my ($self, $bytes, $timeout) = @_;
    my $socket = $self->socket;
    my $end = time + ($timeout || 10);
    my $text = '';
    print {$socket} $bytes;
    $socket->flush;

    while ((my $left = $end - time) > 0) {
        my $rin = '';
        vec($rin, fileno $socket, 1) = 1;
        select($rin, undef, undef, $left) > 0 or last;
        sysread($socket, $text, 65536, length $text) or last;
    }
    return $text;
}


sub socket {
    my ($self) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{port}, Proto => 'tcp', Timeout => 5)
        || die "connect: $!\n";
}


# ---- the API ----

# The body of a POST of a conversation, with these changes of its defaults.
sub conversation_body {
    my ($self, %defaults) = @_;
    my %top;
    for (qw(name system_prompt)) {
        $top{$_} = delete $defaults{$_} if exists $defaults{$_};
    }
    return { name => 'a test', %top, defaults => {
        model => $MODEL, data_plane_id => $PLANE,
        execution_cluster => 'shared', max_iterations => 8, %defaults } };
}


# Makes a conversation; name, system_prompt and defaults as they come.  mcp =>
# '/sse' is short for one server "mcp" with that behaviour.
sub conversation {
    my ($self, %defaults) = @_;
    my %o = %{delete $defaults{as} || {}};
    if (exists $defaults{mcp}) {
        my $rest = delete $defaults{mcp};
        $defaults{mcp_servers} = [ { alias => 'mcp',
                                     url => $self->mcp($rest) } ];
    }
    my $answer = $self->post('/agents/conversations',
                             $self->conversation_body(%defaults), %o);
    die "conversation: $answer->{status} $answer->{content}\n"
        unless $answer->{status} == 201;
    return $answer->{json};
}


# The body of a POST of a run: a text or a whole payload.
sub run_body {
    my ($self, $conversation, $payload, %fields) = @_;
    $payload = { kind => 'user_message', text => $payload }
        unless ref $payload;
    return { client_op_id => uuid(),
             expected_version => $conversation->{version} || 0,
             payload => $payload, %fields };
}


# Starts a run; more fields of the body as they come.  The run, as accepted.
sub run {
    my ($self, $conversation, $payload, %fields) = @_;
    my %o = %{delete $fields{as} || {}};
    my $answer = $self->post("/agents/conversations/$conversation->{id}/runs",
        $self->run_body($conversation, $payload, %fields), %o);
    die "run: $answer->{status} $answer->{content}\n"
        unless $answer->{status} == 202;
    return $answer->{json};
}


# Polls a run until it is terminal, and gives it; dies after "timeout" seconds.
# A worker that is to leave closes idle connections, perhaps as a poll is on its
# way to it: the poll is made once more, as browsers do.
sub finished {
    my ($self, $run, $timeout, %o) = @_;
    my $id = ref $run ? $run->{id} : $run;
    my ($now, $pause, $again) = (undef, 0.01, 0);
    my $end = time + ($timeout || 30);

    while (time < $end) {
        my $answer = $self->get("/agents/runs/$id", %o);
        next if $answer->{status} == 599 && !$again++
                && $answer->{content} =~ /reset by peer|end of stream/;
        die "run: $answer->{status} $answer->{content}\n"
            unless $answer->{status} == 200;
        $now = $answer->{json};
        return $now if $now->{status} !~ /^(?:pending|running)$/;
        sleep $pause;
        $pause *= 1.3 if $pause < 0.2;
    }
    die "run $id is still $now->{status}\n", $self->log;
}


# A conversation and a run of it to its end: (run, conversation as it is then).
sub flow {
    my ($self, $payload, %defaults) = @_;
    my $conversation = $self->conversation(%defaults);
    my $run = $self->finished($self->run($conversation, $payload));
    return wantarray ? ($run, $self->reread($conversation)) : $run;
}


sub reread {
    my ($self, $conversation, %o) = @_;
    return $self->get("/agents/conversations/$conversation->{id}", %o)->{json};
}


sub messages {
    my ($self, $conversation, %o) = @_;
    return $self->get("/agents/conversations/$conversation->{id}/messages"
                      . '?since=0', %o)->{json}{messages};
}


# ---- what is left behind ----

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}


sub log { return slurp("$_[0]{prefix}/logs/error.log") }
sub access_log { return slurp("$_[0]{prefix}/logs/access.log") }


# Lines at [error] or above that match this are the test's own doing.
sub allow {
    my ($self, @patterns) = @_;
    push @{$self->{allowed}}, @patterns;
    return $self;
}


sub errors {
    my ($self) = @_;
    my @lines = grep { /\[(?:error|crit|alert|emerg)\]/ }
                split /\n/, $self->log;
    for my $allowed (@{$self->{allowed}}) {
        @lines = grep { $_ !~ $allowed } @lines;
    }
    return @lines;
}


sub sanitizer_reports {
    my ($self) = @_;
    return map { slurp($_) } glob "$self->{prefix}/logs/asan.*";
}


# Where the mock is another test object's, or was stopped, that is not asked.
sub refused_prompts {
    my ($self) = @_;
    return unless $self->{mock} && $self->{mock}{pid};
    return map { "a prompt: $_" } @{$self->{mock}->violations};
}


# Stops nginx, and tests that it left no error and no sanitizer's report, and
# that no prompt was one that a provider would refuse.
sub clean {
    my ($self, $name) = @_;
    my $stopped = $self->stop;
    my @found = ($self->errors, $self->sanitizer_reports,
                 $self->refused_prompts);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($stopped && !@found, $name || 'nginx stopped, no error logged')
        || diag(join "\n", @found[0 .. ($#found > 19 ? 19 : $#found)]);
}


# Waits for a condition: its value, or nothing after so many seconds.
sub wait_for {
    my ($self, $seconds, $condition) = @_;
    my $end = time + $seconds;
    while (1) {
        my $value = $condition->();
        return $value if $value;
        return if time > $end;
        sleep 0.02;
    }
    return;
}


1;
