# The four conversations of the API's reference, body for body: only the MCP
# server's address is another.  On each protocol, streamed and not.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use AgentsTest;

my %model = (
    'What is 2 + 2?' => [
        { text => '4', usage => { prompt_tokens => 169,
          completion_tokens => 8, total_tokens => 177 } } ],
    'Search the Narrative docs' => [
        map({ { tools => [ [ 'docs-search_narrative_i_o_knowledge_base',
                             { query => "rate limiting $_" } ] ] } } 1 .. 5),
        { text => 'According to the documentation, it returns a 429.' } ],
    'Find me a meeting time' => [
        { tools => [ [ 'confirm_booking',
                       { proposed_slot => 'tomorrow afternoon' },
                       'tooluse_DWXPKZ50JDGib5GmShyUgJ' ] ] },
        { text => 'Great news! Your meeting has been confirmed.' } ],
    'User u-123 logged in' => [
        { text => '{"event": {"type": "login", "user_id": "u-123", '
                  . '"session_duration_seconds": 1800}}' } ],
);

my @matrix = AgentsTest->matrix;
my @protocols = AgentsTest::Protocols->all;

# what has the form of another is left out on the second store
for my $m (map({ my $m = $_; map { { %$m, protocol => $_->name,
                   name => $_->name . " and $m->{name}" } }
                 $m == $matrix[0] ? @protocols
                 : AgentsTest::Protocols->forms }
               @matrix),
           map({ { %{$matrix[0]}, protocol => $_->name,
                   model_line => 'no_stream', name => $_->name
                   . " in one body and $matrix[0]{name}" } } @protocols)) {
    my $store = $m->{name};
    my $t = AgentsTest->new(%$m, handlers => {
        map({ $_->path => \&model } @protocols),
        '/mcp' => AgentsTest::Mcp::handler(tools => [ {
            name => 'search_narrative_i_o_knowledge_base',
            inputSchema => { type => 'object', properties => {
                             query => { type => 'string' } } } } ],
            call => sub { { content => [ { type => 'text',
                text => "about $_[1]{query}" } ] } }),
    });
    $t->start;

    subtest "example 1 on $store" => sub { hello_world($t) };
    subtest "example 2 on $store" => sub { docs_search($t) };
    subtest "example 3 on $store" => sub { booking($t) };
    subtest "example 4 on $store" => sub { event_logger($t) };
    subtest "the list on $store" => sub { listed($t) };
    $t->clean("$store: no error logged");
}

done_testing;


# Knows the examples' questions, and counts the replies since.
sub model {
    my ($req) = @_;
    my $prompt = AgentsTest::Model::prompt($req);
    my ($text, $round) = AgentsTest::Model::position($prompt->{messages});
    my ($known) = grep { index($text, $_) == 0 } keys %model;
    return { status => 400, body => 'never heard' } unless defined $known;
    return AgentsTest::Model::completion($model{$known}[$round], $prompt);
}


sub create {
    my ($t, $body) = @_;
    my $answer = $t->post('/agents/conversations', $body);
    is $answer->{status}, 201, 'created' or diag $answer->{content};
    is $answer->{json}{version}, 0, 'at version 0';
    is $answer->{headers}{location},
       "/agents/conversations/$answer->{json}{id}", 'Location';
    return $answer->{json};
}


sub start {
    my ($t, $conversation, $body) = @_;
    my $id = uuid();
    $body =~ s/"client_op_id": "\.\.\."/"client_op_id": "$id"/
        or die 'no client_op_id';
    my $answer = $t->post("/agents/conversations/$conversation->{id}/runs",
                          $body);
    is $answer->{status}, 202, 'accepted' or diag $answer->{content};
    my $run = $answer->{json};
    is $run->{status}, 'pending', 'as pending';
    is $answer->{headers}{location}, "/agents/runs/$run->{id}", 'Location';
    is $run->{client_op_id}, $id, 'client_op_id';
    like $run->{started_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
         'started_at';
    return $t->finished($run);
}


sub turns {
    my ($t, $conversation, $since) = @_;
    my $answer = $t->get("/agents/conversations/$conversation->{id}/messages"
                         . '?since=' . ($since || 0))->{json};
    my @messages = @{$answer->{messages}};
    is $answer->{current_version}, $messages[-1]{sequence_no},
       'current_version is the last sequence_no';
    is_deeply [ map { $_->{sequence_no} } @messages ],
              [ ($since || 0) + 1 .. $answer->{current_version} ],
              'without holes';
    return @messages;
}


# What the provider was asked last.
sub prompt {
    my ($t) = @_;
    my @prompts = grep { AgentsTest::Protocols->of($_) }
                  @{$t->mock->requests};
    return AgentsTest::Model::prompt($prompts[-1]);
}


sub hello_world {
    my ($t) = @_;
    my $c = create($t, <<'BODY');
{
    "name": "hello world",
    "system_prompt": "You are a helpful assistant. Answer concisely.",
    "defaults": {
      "model": "anthropic.claude-opus-4.6",
      "data_plane_id": "f79cbdae-4848-47ca-95e8-69588364d185",
      "execution_cluster": "shared",
      "max_iterations": 3,
      "max_tokens": 1024,
      "temperature": 0.0
    }
}
BODY
    is $c->{name}, 'hello world', 'the name';

    my $run = start($t, $c, <<'BODY');
{
    "client_op_id": "...",
    "expected_version": 0,
    "payload": { "kind": "user_message", "text": "What is 2 + 2?" }
}
BODY
    is $run->{status}, 'completed', 'completed';
    is $run->{iterations_used}, 1, 'one iteration';
    is_deeply $run->{usage}, { completion_tokens => 8, prompt_tokens => 169,
                               total_tokens => 177 }, 'usage';
    is $run->{final_text}, '4', 'final_text';
    is $run->{final_structured_output}, undef, 'no structured output';
    is $run->{error}, undef, 'no error';
    is_deeply $run->{tool_choice}, { kind => 'auto' }, 'tool_choice is auto';

    my @turns = turns($t, $c);
    is_deeply [ map { [ @$_{qw(sequence_no role content_blocks run_id)} ] }
                @turns ],
        [ [ 1, 'user', [ { type => 'text', text => 'What is 2 + 2?' } ],
            $run->{id} ],
          [ 2, 'assistant', [ { type => 'text', text => '4' } ],
            $run->{id} ] ], 'the messages';
    for (@turns) {
        is_deeply [ sort keys %$_ ], [ qw(content_blocks created_at role run_id
                                          sequence_no) ], 'the whole of each';
        like $_->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
             'created_at';
    }
    is $t->reread($c)->{version}, 2, 'version 2';

    my $prompt = prompt($t);
    is_deeply [ map { $_->{role} } @{$prompt->{messages}} ],
              [ qw(system user) ], 'the provider saw both prompts';
    is $prompt->{messages}[0]{content},
       'You are a helpful assistant. Answer concisely.', 'the system prompt';
    is $prompt->{max_tokens}, 1024, 'max_tokens';
    is $prompt->{temperature}, 0, 'temperature';
    return;
}


sub docs_search {
    my ($t) = @_;
    my $url = $t->mcp;
    my $c = create($t, <<"BODY");
{
    "name": "docs search",
    "system_prompt": "You are an AI assistant that answers questions about the Narrative Data Marketplace. Use the available tools to look things up before answering. Once you have enough information, produce a concise final answer that matches the provided output schema.",
    "defaults": {
      "model": "anthropic.claude-opus-4.6",
      "data_plane_id": "f79cbdae-4848-47ca-95e8-69588364d185",
      "execution_cluster": "shared",
      "max_iterations": 8,
      "max_tokens": 2048,
      "temperature": 0.0,
      "mcp_servers": [{
        "alias": "docs",
        "url": "$url",
        "description": "Narrative.io documentation MCP server"
      }]
    }
}
BODY
    my $run = start($t, $c, <<'BODY');
{
  "client_op_id": "...",
  "expected_version": 0,
  "payload": { "kind": "user_message", "text": "Search the Narrative docs for information about rate limiting and summarize what you find in 2-3 sentences." },
  "tool_choice": { "kind": "auto" }
}
BODY
    is $run->{status}, 'completed', 'completed'
        or diag explain $run->{error};
    is $run->{iterations_used}, 6, 'six iterations';
    is scalar @{$run->{submitted_inference_job_ids}}, 6, 'six jobs';
    like $run->{final_text}, qr/^According to/, 'the answer';
    is_deeply $run->{live}{messages}, [], 'nothing is live any more';
    is $run->{usage}{total_tokens}, 90, 'usage is the sum';

    my @turns = turns($t, $c);
    is scalar @turns, 12, 'twelve messages';
    is_deeply [ map { $_->{role} } @turns ],
              [ 'user', map({ qw(assistant tool) } 1 .. 5), 'assistant' ],
              'alternating';
    my ($use, $result) = map { $_->{content_blocks}[0] } @turns[1, 2];
    is $use->{type}, 'tool_use', 'tool_use';
    is $use->{name}, 'docs-search_narrative_i_o_knowledge_base', 'the name';
    is_deeply $use->{arguments}, { query => 'rate limiting 1' }, 'arguments';
    is_deeply $result, { type => 'tool_result',
        tool_use_id => $use->{tool_use_id}, is_error => JSON::PP::false,
        content => [ { type => 'text', text => 'about rate limiting 1' } ] },
        'its result';
    my %ids = map { $_->{content_blocks}[0]{tool_use_id} => 1 }
              grep { $_->{content_blocks}[0]{type} eq 'tool_use' } @turns;
    is scalar keys %ids, 5, 'five ids';
    return;
}


sub booking {
    my ($t) = @_;
    my $c = create($t, <<'BODY');
{
    "name": "booking flow",
    "system_prompt": "You are a booking assistant. Use the available tool to propose a meeting slot to the user.",
    "defaults": {
      "model": "anthropic.claude-opus-4.6",
      "data_plane_id": "f79cbdae-4848-47ca-95e8-69588364d185",
      "execution_cluster": "shared",
      "max_iterations": 5,
      "tools": [{
        "name": "confirm_booking",
        "description": "Ask the user to confirm a proposed booking slot.",
        "input_schema": {
          "type": "object",
          "additionalProperties": false,
          "required": ["proposed_slot"],
          "properties": { "proposed_slot": { "type": "string" } }
        }
      }]
    }
}
BODY
    my $paused = start($t, $c, <<'BODY');
{
  "client_op_id": "...",
  "expected_version": 0,
  "payload": { "kind": "user_message", "text": "Find me a meeting time for tomorrow afternoon." },
  "tool_choice": { "kind": "specific_tool", "name": "confirm_booking" }
}
BODY
    is $paused->{status}, 'requires_action', 'requires_action';
    is $paused->{iterations_used}, 1, 'one iteration';
    is_deeply $paused->{pending_tool_calls}, [ {
        tool_use_id => 'tooluse_DWXPKZ50JDGib5GmShyUgJ',
        name => 'confirm_booking',
        arguments => { proposed_slot => 'tomorrow afternoon' } } ],
        'pending_tool_calls';
    is $paused->{final_text}, undef, 'no text';
    is $paused->{final_structured_output}, undef, 'no structured output';
    is_deeply $paused->{tool_choice},
        { kind => 'specific_tool', name => 'confirm_booking' }, 'tool_choice';
    is $t->reread($c)->{version}, 2, 'version 2';
    is_deeply prompt($t)->{choice}, [ 'confirm_booking' ],
              'the model was forced';

    my $run = start($t, $c, <<'BODY');
{
  "client_op_id": "...",
  "expected_version": 2,
  "payload": {
    "kind": "tool_outputs",
    "outputs": [{
      "tool_use_id": "tooluse_DWXPKZ50JDGib5GmShyUgJ",
      "content": "User confirmed the proposed slot.",
      "is_error": false
    }]
  }
}
BODY
    is $run->{status}, 'completed', 'completed';
    is $run->{iterations_used}, 1, 'one iteration';
    like $run->{final_text}, qr/^Great news!/, 'the answer';
    is_deeply $run->{pending_tool_calls}, [], 'nothing pending';
    is $t->reread($c)->{version}, 4, 'version 4';

    my $prompt = prompt($t);
    is_deeply [ map { $_->{role} } @{$prompt->{messages}} ],
              [ qw(system user assistant tool) ], 'the model saw the answer';
    is $prompt->{messages}[3]{content}, 'User confirmed the proposed slot.',
       'in its words';
    is $prompt->{choice} // 'auto', 'auto', 'and was not forced again';

    my @turns = turns($t, $c, 2);
    is_deeply [ map { $_->{role} } @turns ], [ qw(tool assistant) ],
              'the second run\'s turns';
    is_deeply $turns[0]{content_blocks}[0]{content},
        [ { type => 'text', text => 'User confirmed the proposed slot.' } ],
        'the output is a text block';
    return;
}


sub event_logger {
    my ($t) = @_;
    my $c = create($t, <<'BODY');
{
    "name": "event logger",
    "system_prompt": "You record events as structured data. Respond only via the structured output schema.",
    "defaults": {
      "model": "anthropic.claude-opus-4.6",
      "data_plane_id": "f79cbdae-4848-47ca-95e8-69588364d185",
      "execution_cluster": "shared",
      "max_iterations": 3,
      "max_tokens": 1024,
      "temperature": 0.0,
      "output_format_schema": {
        "type": "object",
        "additionalProperties": false,
        "required": ["event"],
        "properties": {
          "event": {
            "anyOf": [
              {
                "type": "object",
                "title": "Login",
                "additionalProperties": false,
                "required": ["type", "user_id", "session_duration_seconds"],
                "properties": {
                  "type": { "const": "login" },
                  "user_id": { "type": "string" },
                  "session_duration_seconds": { "type": "integer" }
                }
              },
              {
                "type": "object",
                "title": "Logout",
                "additionalProperties": false,
                "required": ["type", "user_id"],
                "properties": {
                  "type": { "const": "logout" },
                  "user_id": { "type": "string" }
                }
              }
            ]
          }
        }
      }
    }
}
BODY
    is $c->{defaults}{output_format_schema}{properties}{event}{anyOf}[0]
         {properties}{type}{const}, 'login', 'the schema comes back';

    my $run = start($t, $c, <<'BODY');
{
  "client_op_id": "...",
  "expected_version": 0,
  "payload": {
    "kind": "user_message",
    "text": "User u-123 logged in and stayed for 1800 seconds. Record the structured event."
  }
}
BODY
    is $run->{status}, 'completed', 'completed'
        or diag explain $run->{error};
    is $run->{iterations_used}, 1, 'one iteration';
    is $run->{final_text}, undef, 'no text';
    is_deeply $run->{final_structured_output}, { event => { type => 'login',
        user_id => 'u-123', session_duration_seconds => 1800 } },
        'final_structured_output';
    my $format = JSON::PP::encode_json(prompt($t)->{format});
    like $format, $_, 'the provider was given the schema'
        for qr/"json_schema"/, qr/session_duration_seconds/;

    my @turns = turns($t, $c);
    is scalar @turns, 2, 'two messages';
    is_deeply [ map { $_->{type} } @{$turns[1]{content_blocks}} ], [ 'text' ],
              'the answer is one text block';
    is_deeply JSON::PP::decode_json($turns[1]{content_blocks}[0]{text}),
              $run->{final_structured_output}, 'of that JSON';
    return;
}


sub listed {
    my ($t) = @_;
    my $page = $t->get('/agents/conversations?page=1&per_page=3')->{json};
    is_deeply [ @$page{qw(prev_page current_page next_page total_records
                          total_pages)} ], [ undef, 1, 2, 4, 2 ],
              'the envelope';
    is_deeply [ map { $_->{name} } @{$page->{records}} ],
              [ 'event logger', 'booking flow', 'docs search' ],
              'newest first';
    return;
}
