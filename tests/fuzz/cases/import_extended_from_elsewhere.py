from nkilib.core.output_projection.output_projection_cte import output_projection_cte

from nkilib.core.utils.common_types import ActFnType
output_projection_cte(output_projection_cte,
 w,
 bias,
 True,
 input_scales,
 input_scales)
