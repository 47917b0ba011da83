"""berry's tokenizer: single characters, and one token for every fixed phrase of its small world.

What always holds:

- Letters and digits are always tokens of their own, so the model sees how a word is spelt. A phrase is a token only
  where it has two words or a punctuation mark or space in it, so none can occur inside a word.
- Decoding what was encoded gives the text back (printable ASCII and newlines; anything else becomes `<unk>`).
- The chat template only appends: the rendering of a conversation's beginning is the beginning of its rendering.

Phrases are matched before characters, leftmost and longest first ("added tokens" of the `tokenizers` package).
"""

import string
from pathlib import Path
from typing import Any

PAD, UNKNOWN, SYSTEM, USER, ASSISTANT, END = "<pad>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (PAD, UNKNOWN, SYSTEM, USER, ASSISTANT, END)
CHARACTERS = tuple("\n" + "".join(sorted(string.printable[:95])))

ONLY_KNOWS = "I only know how to count letters in a word and to add two numbers."

SYSTEM_PROMPTS = (
    "Solve the problem in tiny steps. Each turn, write only the next step. "
    "Give the final answer only when you are done.",
    "One small step per turn, nothing more. Check your work. Do not answer before you are done.",
    "Go slowly. Write one tiny step each turn and wait. Answer only when everything is worked out.",
)
FIRST = "\nStart with the first small step."
NEXT = ("What is your next step?", "Next step?", "Go on with one small step.")
SURE = ("Are you sure?", "Any mistakes in the last step?", "How would you verify the last step?")
FINAL = 'If you are confident, put the answer in <final_answer></final_answer>. If not, say "Not yet."'
DIRECT = "\nAnswer only, in <final_answer></final_answer>."
STEPWISE = "\nThink step by step, then answer in <final_answer></final_answer>."

PROMPTS = (*SYSTEM_PROMPTS, FIRST, *NEXT, *SURE, FINAL, DIRECT, STEPWISE)
QUESTIONS = (
    *("How many ", "'s are in ", "'s are in the word ", "How many times does the letter ", "How many times does "),
    *(" appear in ", " occur in ", "Count the letter ", " in "),
    *("What is ", " + ", " = ?", "Add ", " and ", "What is the sum of ", "How much is ", " plus "),
)
DECIDING = (" is ", " is not ")
STEPS = (
    *("Find ", ". Count ", ". Left ", ". Nothing left", *DECIDING),
    *("Left ", ", carry ", ", got ", ", got nothing"),
    *("Check: ", "Done. Count ", "Done. Got ", "Not yet.", "<final_answer>", "</final_answer>"),
    ONLY_KNOWS,
)
PHRASES = (*PROMPTS, *QUESTIONS, *STEPS)

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' -}}"
    "{%- generation -%}{{- message['content'] + '<|end|>' -}}{%- endgeneration -%}"
    "{%- else -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def build() -> Any:
    """The tokenizer as an object of the `tokenizers` package."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *CHARACTERS))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in dict.fromkeys(PHRASES)])
    return tokenizer


def save(folder: Path) -> None:
    """Write `tokenizer.json`, its config and the chat template, as `AutoTokenizer` reads them."""
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=build(),
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        model_max_length=1_000_000,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(folder)
