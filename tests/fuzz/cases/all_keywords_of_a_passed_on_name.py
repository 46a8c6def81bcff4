# With --all-keywords, only a second run gave keywords where a name is imported from a module that only uses it.
nki = Logger((k))
from nkilib.core.qkv.qkv import Logger
