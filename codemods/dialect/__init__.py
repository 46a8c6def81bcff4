"""The language of NKI 0.2 as rules on Python's syntax trees.

Uses the standard library's ``ast`` alone: whoever has a function's tree and its module's can check it.
nkimigrate's check of a file (:mod:`.findings`) does, and the simulator's strict mode.
"""

from .checker import Breach as Breach
from .checker import Module as Module
from .checker import check_class as check_class
from .checker import check_function as check_function
from .rule import ERROR as ERROR
from .rule import WARNING as WARNING
from .rule import Rule as Rule
from .rules import RULES as RULES
