"""The language of NKI 0.2 as rules on Python's syntax trees; nkimigrate's check uses the same."""

from __future__ import annotations

from nkimigrate.codemods.dialect import ERROR as ERROR
from nkimigrate.codemods.dialect import WARNING as WARNING
from nkimigrate.codemods.dialect import Breach as Breach
from nkimigrate.codemods.dialect import Module as Module
from nkimigrate.codemods.dialect import Rule as Rule
from nkimigrate.codemods.dialect import check_class as check_class
from nkimigrate.codemods.dialect import check_function as check_function
from nkimigrate.codemods.dialect.checker import Function as Function
from nkimigrate.codemods.dialect.checker import nodes as nodes
