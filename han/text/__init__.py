"""Convert text to word ids: sentences, words, the vocabulary, encoded documents and word vectors."""

from han.text.sentences import split_sentences
from han.text.splitting import DocumentSplitter, SplitText
from han.text.words import split_words

__all__ = ["DocumentSplitter", "SplitText", "split_sentences", "split_words"]
