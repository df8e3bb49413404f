"""Small tokenizers of every form that is read, and conversations, with what the reference makes of them.

    python scripts/golden/tokens.py

writes shared/golden/tokens/: lines.json (1,000 lines of many scripts, emoji, code and control characters), NAME/ with a
tokenizer's files, NAME.safetensors with the lines' `ids` in a row and their `counts`, and chat.json with templates,
conversations and the texts that transformers renders. Made with tokenizers 0.23, sentencepiece 0.2, gguf 0.19 and
transformers 5.23.
"""

import json
import random
import shutil
from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.utils.chat_template_utils import render_jinja_template

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "tokens"
WORDS = """the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not
what all were we when your can said there use an each which she do how their if will up other about out many then them
casa velha porta janela menino não está coração ação três você São também é à às pão mãe avô
été où garçon naïve Übermut größer straße œuvre señor mañana ¿qué?
мир дом вода человек время ёлка Ελλάδα θάλασσα ποίημα שלום עולם مرحبا كتاب नमस्ते दुनिया สวัสดี ภาษาไทย
你好 世界 今天天气很好 日本語 カタカナ ひらがな 한국어 안녕하세요 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁne Å Å ① ½ ™ １２３""".split()
CODE = ["def f(x):", "    return x ** 2", "if (a && b) { c += 1; }", "SELECT * FROM t WHERE id=42;", "<div class=\"a\">&nbsp;</div>",
        "let v: Vec<u8> = vec![0; 1024];", "http://example.org/?q=a%20b&c=d#e", "printf(\"%d\\n\", i++);", "0xDEADBEEF", "a_b-c.d,e;f",
        "I'm you're they'll we've he'd it's I'M YOU'RE", "3.14159 1,234,567 2024-02-29 12:34:56 1e-10"]
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇧🇷", "❤️", "🎵🎶", "☃", "🏳️‍🌈", "✨"]
ODD = ["\t", "\u00a0", "\u200b", "\u200d", "\ufeff", "\x00", "\x07", "\x1b[0m", "\x7f", "\u2028", "  ", "   ", "\r", "\u3000", "e\u0301", "▁"]


def lines():
    rng = random.Random(7)
    made = []
    while len(made) < 1000:
        parts = []
        for _ in range(rng.randint(1, 9)):
            kind = rng.random()
            pool = WORDS if kind < 0.7 else CODE if kind < 0.8 else EMOJI if kind < 0.87 else ODD if kind < 0.95 else None
            parts.append(rng.choice(pool) if pool else str(rng.randint(0, 10 ** rng.randint(1, 9))))
        line = rng.choice([" ", " ", " ", "", ", ", "\n", "  "]).join(parts)
        made.append(rng.choice(["", "", "", "", " ", "  "]) + line + rng.choice(["", "", "", ".", "!", " ", "\n\n"]))
    made[:4] = ["", " ", "\n", "a"]
    return made


def keep(name, ids):
    flat = np.array([i for row in ids for i in row], np.uint16)
    save_file(dict(ids=flat, counts=np.array([len(row) for row in ids], np.uint16)), OUT / f"{name}.safetensors")
    size = sum(file.stat().st_size for file in (OUT / name).iterdir()) + (OUT / f"{name}.safetensors").stat().st_size
    print(f"{name}: {len(flat)} ids, {size} bytes")


def fresh(name):
    shutil.rmtree(OUT / name, ignore_errors=True)
    (OUT / name).mkdir(parents=True)
    return OUT / name


def byte_level(texts, pre, special):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre, decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=alphabet, special_tokens=special, show_progress=False))
    return tokenizer


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def cut(expression):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def vocabulary_file(path, model, pre, tokenizer):
    """A GGUF file with a byte-level vocabulary and no tensors."""
    made = json.loads(tokenizer.to_str())
    tokens = sorted(made["model"]["vocab"], key=made["model"]["vocab"].get)
    special = {token["content"] for token in made["added_tokens"]}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in made["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def pieces_file(path, processor):
    """A GGUF file with SentencePiece's vocabulary and no tensors."""
    kinds = [2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i)
             else 4 if processor.id_to_piece(i).startswith("<|") else 1 for i in range(len(processor))]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([processor.id_to_piece(i) for i in range(len(processor))])
    writer.add_token_scores([processor.get_score(i) for i in range(len(processor))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    finish(writer)


CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
INSTRUCTIONS = """{%- if messages[0]['role'] == 'system' -%}
    {%- set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set system = '' -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('roles must alternate user, assistant, user') }}
    {%- endif -%}
    {%- if message['role'] == 'user' -%}
        {{ bos_token + '[INST] ' + (system if loop.first else '') + message['content'].strip() + ' [/INST]' }}
    {%- else -%}
        {{ ' ' + message['content'].strip() + ' ' + eos_token }}
    {%- endif -%}
{%- endfor -%}"""
HEADERS = """{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" + system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""
TURNS = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}"""
BARS = """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"""
THINKING = """{%- set ns = namespace(last=messages|length - 1, multi=true) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "system" and not loop.first) or loop.first %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content, thought = message.content, '' %}
        {%- if '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and thought %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
CALLS = """{%- for message in messages %}
{%- if message.tool_calls %}
[CALLS]{% for call in message.tool_calls %}{{ call.function.name }}({% for key, value in call.function.arguments.items() %}{{ key }}={{ value | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}){% endfor %}
{{ message.tool_calls | tojson }}
{%- else %}
[{{ message.role | upper }}]{{ message.get('name', 'nobody') }}: {{ message.content | replace('\\n', ' / ') }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '\\n[ASSISTANT]' }}{% endif %}
"""
MACRO = """{% macro show(role, words='') -%}
    ### {{ role.title() }}:
{{ words }}
{% endmacro -%}
{% for message in messages if message.role in ['user', 'assistant'] %}
    {{ show(message.role, words=message.content) }}
    {%+ if loop.last %}({{ loop.length }}){% endif %}

{% endfor %}
{%- if add_generation_prompt %}{{ show('assistant') }}{% endif -%}"""
BREAKS = """{% for message in messages -%}
{% if message.role == 'tool' %}{% continue %}{% endif -%}
{% if loop.index > 4 %}{% break %}{% endif -%}
{{ loop.index }}/{{ messages | length }} {{ message.role ~ ': ' ~ message.content[:20] | trim }}{{ '' if loop.last else ' |' }}
{% endfor %}{{ messages | map(attribute='role') | list | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{% if messages[-1].content is defined and messages[-1].content | length > 3 %}long{% else %}short{% endif %}"""
NUMBERS = """{% set count = namespace(value=0) %}{% for m in messages %}{% set count.value = count.value + 1 %}{{ count.value }}. {{ m['role'] | capitalize }} {{ '%s' | format(m['content']) | indent(2) }}
{% endfor %}{{ 7 // 2 }} {{ 7 % 3 }} {{ 2 ** 5 }} {{ none is none }} {{ true and not false }} {{ [1, 2] + [3] }} {{ {'a': 1}['a'] }} {{ "x" * 3 }} {{ 'a' in 'cat' }}{{ '\\n' }}{% if add_generation_prompt -%}
  Assistant
{%- endif %}"""


def chats():
    talk = [dict(role="user", content=" Hello, who are you? "), dict(role="assistant", content="I am \"Ada\".\nAnd you?"),
            dict(role="user", content="Você é <b>amiga</b> & 'more' 😀")]
    system = [dict(role="system", content="Be brief.\n")]
    thought = system + talk[:1] + [dict(role="assistant", content="<think>\nHm, hm.\n</think>\n\nI am Ada.")]
    tools = talk[:1] + [
        dict(role="assistant", content="", tool_calls=[dict(function=dict(name="sum", arguments=dict(a=1, b=[2.5, None, True], c="é\"")))]),
        dict(role="tool", name="sum", content="3\nor so")]
    made = []
    for name, source, talks in [
        ("chatml", CHATML, [talk, system + talk, talk[:1]]), ("instructions", INSTRUCTIONS, [talk, system + talk]),
        ("headers", HEADERS, [talk, system + talk]), ("turns", TURNS, [talk, talk[:1]]), ("bars", BARS, [talk, system + talk]),
        ("thinking", THINKING, [talk, thought, thought + talk[2:]]), ("calls", CALLS, [talk, tools]), ("macro", MACRO, [talk, tools]),
        ("breaks", BREAKS, [talk, tools, thought + talk]), ("numbers", NUMBERS, [talk, system + talk]),
    ]:
        for messages in talks:
            for answer in (True, False):
                tokens = dict(bos_token="<s>", eos_token="</s>")
                text = render_jinja_template([messages], chat_template=source, add_generation_prompt=answer, **tokens)[0][0]
                made.append(dict(name=name, template=source, messages=messages, answer=answer, text=text))
    (OUT / "chat.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(made)} conversations")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    texts = lines()
    (OUT / "lines.json").write_text(json.dumps(texts, indent=0) + "\n")
    for name, pre, ggml, nfc in [
        ("gpt2", pre_tokenizers.ByteLevel(add_prefix_space=False), "gpt-2", False), ("llama3", cut(LLAMA3), "llama-bpe", False),
        ("qwen2", cut(QWEN2), "qwen2", True),
        ("digits", pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)]), "smollm", False),
    ]:
        tokenizer = byte_level(texts, pre, ["<|begin|>", "<|endoftext|>"])
        if nfc:
            tokenizer.normalizer = normalizers.NFC()
        if name == "llama3":
            made = json.loads(tokenizer.to_str())
            made["model"]["ignore_merges"] = True
            tokenizer = Tokenizer.from_str(json.dumps(made))
        folder = fresh(name)
        if name == "gpt2":
            made = json.loads(tokenizer.to_str())["model"]
            (folder / "vocab.json").write_text(json.dumps(made["vocab"], ensure_ascii=False))
            (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in made["merges"]))
            special = {str(i): dict(content=word, special=True) for i, word in enumerate(["<|begin|>", "<|endoftext|>"])}
            (folder / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="GPT2Tokenizer", added_tokens_decoder=special)))
        elif name == "llama3":
            tokenizer.save(str(folder / "tokenizer.json"))
        vocabulary_file(folder / "model.gguf", "gpt2", ggml, tokenizer)
        keep(name, [tokenizer.encode(text).ids for text in texts])
    for name, kind, options in [
        ("bpe", "bpe", dict(byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                            user_defined_symbols=["<|user|>"], allow_whitespace_only_pieces=True, split_digits=True)),
        ("unigram", "unigram", dict(byte_fallback=False)),
    ]:
        folder = fresh(name)
        (OUT / "train.txt").write_text("\n".join(text.replace("\0", "").replace("\n", " ") for text in texts))
        sentencepiece.SentencePieceTrainer.train(
            input=str(OUT / "train.txt"), model_prefix=str(folder / "tokenizer"), model_type=kind, vocab_size=900 if kind == "bpe" else 600,
            character_coverage=0.98, minloglevel=2, **options)
        (OUT / "train.txt").unlink()
        (folder / "tokenizer.vocab").unlink()
        (folder / "tokenizer_config.json").write_text(json.dumps(dict(add_bos_token=True, bos_token="<s>")))
        processor = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
        if kind == "bpe":
            pieces_file(folder / "model.gguf", processor)
        keep(name, [[1] + processor.encode(text) for text in texts])
    chats()


if __name__ == "__main__":
    main()
