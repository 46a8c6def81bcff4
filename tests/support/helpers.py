"""What the tests of the project's rules use is what a team's own rules get: :mod:`nkimigrate.testing`."""

from nkimigrate.testing import Result as Result
from nkimigrate.testing import check_noop as check_noop
from nkimigrate.testing import check_reported as check_reported
from nkimigrate.testing import check_sound as check_sound
from nkimigrate.testing import check_transformed as check_transformed
from nkimigrate.testing import migrate as migrate
